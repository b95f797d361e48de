"""python -m rdad.evaluate: a finished run scored again, without training."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from rdad.config.allowed import number
from rdad.config.checks import check_threshold, check_values
from rdad.config.command import Command
from rdad.config.schema import ImageRateConfig, SourceConfig
from rdad.config.spelling import as_it_stands
from rdad.experiment.rescore_config import is_of_the_run
from rdad.runs.slow_imports import slow_imports

COMMAND = Command(
    name="evaluate",
    summary=(
        "Score a finished run again, without training: on its own test images or on others, with\n"
        "another mode, blur or threshold. Leaves the files of a test in a folder of its own, and\n"
        "nothing in MLflow; with keep=true the run judges by these thresholds from now on. RUN is\n"
        "a run folder, a model.pt, an MLflow run id, models:/<name>@<alias>, or a checkpoint of\n"
        "the authors' program with backbone=... named.\n"
        "\n"
        "dataset=... names other images; dataset.root=..., artifacts.*=... and evaluation.*=...\n"
        "change what the run itself was given. With the run's own settings the results are the\n"
        "run's, to the last bit. Thresholds are the run's; another mode or blur needs its\n"
        "calibration images for new ones. dataset.calibration=0.2 finds them on other images."
    ),
    usage="RUN",
    least=1,
    most=1,
    examples=(
        "outputs/demo",
        "outputs/demo mode=multiply sigma=2",
        "outputs/demo thresholds.image_rate=0.05",
        "outputs/demo threshold=1.9 keep=true",
        "outputs/demo dataset=folder dataset.root=parts dataset.normal=good dataset.defects=bad",
        "wres50_bottle.pth backbone=wide_resnet50_2 dataset=mvtec_ad dataset.root=data/mvtec_ad "
        "dataset.category=bottle",
    ),
)


@dataclass
class RatesConfig(ImageRateConfig):
    """Rates other than the run's; None keeps those."""

    pixel_rate: float | None = number(0, 1, open="()")


@dataclass
class EvaluateConfig(SourceConfig):
    """The options of conf/evaluate.yaml, which says what they are for."""

    output: str | None = MISSING
    mode: str | None = MISSING
    sigma: float | None = MISSING
    score_share: float | None = number(0, 1)
    threshold: float | None = number(0, open="(")
    thresholds: RatesConfig = field(default_factory=RatesConfig)
    keep: bool = MISSING
    device: str = MISSING


ConfigStore.instance().store(name="evaluate_schema", node=EvaluateConfig)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    of_the_run = [as_it_stands(one) for one in given if is_of_the_run(one)]
    own = [one for one in given if not is_of_the_run(one)]
    return COMMAND.main(partial(evaluate, of_the_run), own)


def evaluate(of_the_run: Sequence[str], named: Sequence[str], options: DictConfig) -> int:
    """Score the run that is named; prints what came of it."""
    check_values(EvaluateConfig, options)
    check_threshold(options.threshold, options.thresholds.image_rate)
    with slow_imports():
        from rdad.experiment.rescore import rescore
        from rdad.results.meaning import meaning
        from rdad.results.text_table import metrics_table, short

    found = rescore(named[0], options, of_the_run)
    print(metrics_table(found.metrics, found.thresholds))
    print("\n".join(meaning(found.output_dir, found.metrics, named[0])))
    print(f"evaluation  {short(found.output_dir)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

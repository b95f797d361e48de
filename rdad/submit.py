"""python -m rdad.submit: maps and masks of MVTec AD 2's private tests, as its server takes them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from rdad.config.allowed import number
from rdad.config.checks import check_values
from rdad.config.command import BAD_INPUT, Command
from rdad.config.mistakes import ConfigError
from rdad.runs.files import resolved
from rdad.runs.names import expanded

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel

INCOMPLETE = 4  # exit code

COMMAND = Command(
    name="submit",
    summary=(
        "Score the images of MVTec AD 2's private tests by trained runs, one of each category;\n"
        "write maps in float16 and masks at the runs' pixel thresholds as its server takes them,\n"
        "check all files, and pack them into <output>.tar.gz. Runs may come in several calls with\n"
        f"the same output. Exit codes: 0 packed, {INCOMPLETE} categories are still missing,\n"
        f"{BAD_INPUT} something does not fit."
    ),
    usage="RUN...",
    least=1,
    most=None,
    examples=(
        "multirun/ad2/*/ output=submission",
        "outputs/can outputs/vial output=submission root=data/mvtec_ad_2",
    ),
)


@dataclass
class SubmitConfig:
    """The options of conf/submit.yaml, which says what they are for."""

    output: str = MISSING
    root: str | None = MISSING
    overwrite: bool = MISSING
    batch_size: int = number(1)
    device: str = MISSING
    weights: str | None = MISSING
    tracking_uri: str | None = MISSING


ConfigStore.instance().store(name="submit_schema", node=SubmitConfig)


def submit(sources: Sequence[str], cfg: DictConfig) -> int:
    """Write, check and pack a submission; gives the exit code."""
    check_values(SubmitConfig, cfg)
    from rdad.data.images import listed
    from rdad.detector.device import chosen_device
    from rdad.results.private_images import write_category
    from rdad.results.submission import IMAGES, categories_in, pack, problems_of
    from rdad.runs.folder import stay_in

    device = chosen_device(cfg.device)
    runs, root = _opened(sources, cfg)
    folder = resolved(expanded(cfg.output))
    stay_in(folder)
    _refuse_what_is_there(folder, root, runs, overwrite=cfg.overwrite)
    for category, trained in runs.items():
        write_category(folder, root, category, trained.to(device), batch_size=cfg.batch_size)
    if problems := list(problems_of(folder, root)):
        raise ConfigError("\n".join([f"not packed: {len(problems)} faults", *listed(problems)]))
    if missing := [one for one in IMAGES if one not in categories_in(folder)]:
        print(f"not packed yet: {folder} lacks {', '.join(missing)}")
        return INCOMPLETE
    print(f"to be uploaded: {pack(folder)}")
    return 0


def _opened(sources: Sequence[str], cfg: DictConfig) -> "tuple[dict[str, TrainedModel], Path]":
    """The network of each category, and the folder of the data set.

    Raises:
        ConfigError: what is named is no run of such a category with a threshold, or is one again.
    """
    from rdad.detector.loaded_run import LoadedRun
    from rdad.experiment.open_model import open_model
    from rdad.results.submission import IMAGES

    runs: dict[str, TrainedModel] = {}
    roots: dict[str, str] = {}
    for source in sources:
        run = open_model(source, weights=cfg.weights, tracking_uri=cfg.tracking_uri)
        if not isinstance(run, LoadedRun):
            raise ConfigError(f"{source} is no run: it does not say its category")
        named = OmegaConf.select(run.cfg, "dataset.category")
        categories = [*named] if OmegaConf.is_list(named) else [str(named)]
        for category in categories:
            if category not in IMAGES:
                allowed = ", ".join(IMAGES)
                raise ConfigError(f"{source} is of the category {category}; allowed: {allowed}")
            if category in runs:
                raise ConfigError(
                    f"{source} is the second run of {category}; name one of each category"
                )
        if run.thresholds is None:
            raise ConfigError(
                f"{source} has no pixel threshold: no good images were held back for it"
            )
        root = cfg.root or OmegaConf.select(run.cfg, "dataset.root")
        if root is None:
            raise ConfigError(f"{source} does not say where its data set is: give root=…")
        runs |= dict.fromkeys(categories, run.trained)
        roots[str(root)] = source
    if len(roots) > 1:
        raise ConfigError(f"the runs name several data sets, {', '.join(roots)}: give root=…")
    return runs, expanded(next(iter(roots)))


def _refuse_what_is_there(
    folder: Path, root: Path, runs: Mapping[str, object], *, overwrite: bool
) -> None:
    """Before anything is written, and hours later refused by the server."""
    from rdad.results.submission import categories_in, private_images, superfluous
    from rdad.runs.files import DRAFT, remove_drafts

    for category in runs:
        private_images(root, category)
    remove_drafts(folder, f"*/*/*/{DRAFT}*")
    if others := superfluous(folder, root):
        raise ConfigError(
            f"{folder} holds files that are no part of a submission, as {others[0]}; name another "
            "output, or take them away"
        )
    if not overwrite and (there := [one for one in categories_in(folder) if one in runs]):
        raise ConfigError(
            f"{folder} has {', '.join(there)} already; leave out those runs, or say overwrite=true"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    return COMMAND.main(submit, arguments)


if __name__ == "__main__":
    sys.exit(main())

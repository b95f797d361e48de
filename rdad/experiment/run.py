"""In what order a run is made of its parts; rdad.experiment.stages holds its steps."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from rdad.config.build import build, prepare
from rdad.config.compose import ConfigError, check
from rdad.config.parameters import parameters
from rdad.runs.files import read_metrics
from rdad.runs.record import RECORD_FILE, read_record

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        metrics: By their names in MLflow, as test/image_auroc; nan where undefined. Empty in the
            processes of a distributed run that are not the first.
        output_dir: The run folder.
        mlflow_run_id: None without tracking, or where the store could not be reached.
        tracking_error: Why the run is not, or not wholly, in MLflow.
        train_seconds: What the training took, also if it was another run's that was reused.
        page, ui_command: Where the run is seen, and what to type to see it.
        thresholds: None where no images were held back for calibration.
    """

    metrics: dict[str, float]
    output_dir: Path
    train_seconds: float = math.nan
    mlflow_run_id: str | None = None
    tracking_error: str | None = None
    page: str | None = None
    ui_command: str | None = None
    thresholds: "Thresholds | None" = None


def run(cfg: DictConfig, output_dir: str | Path) -> RunResult:
    """Train, test, save and track one configuration.

    Raises:
        ConfigError: the configuration cannot be run.
        FileNotFoundError, rdad.data.DataError: images, masks or weights are missing or unusable.
        KeyboardInterrupt: Ctrl-C; the run folder then holds the weights as they were.
    """
    check(cfg)
    run_dir = Path(output_dir)
    if cfg.resume and (finished := _finished(cfg, run_dir)):
        return finished
    if cfg.resume and not (run_dir / RECORD_FILE).is_file():
        log.info("there is no run in %s to go on with: a new one begins", run_dir)
    import lightning as L
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from rdad.experiment.stages import RunStages

    L.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = build(cfg.dataset)
    prepare(datamodule)
    module = build(cfg.model)
    stages = RunStages(cfg, run_dir, datamodule, module)
    if getattr(rank_zero_only, "rank", 0):  # the first process of a distributed run does the rest
        stages.fit()
        return RunResult({}, run_dir)
    stages.check_checkpoint()
    with stages.book.opened(datamodule, encoder_digest=stages.encoder_digest):
        stages.train()
        stages.calibrate()
        metrics = stages.test()
        stages.book.finish(metrics)
    result = RunResult(metrics, run_dir, stages.train_seconds, thresholds=stages.thresholds)
    tracker = stages.book.tracker
    if tracker is None:
        return result
    return replace(
        result,
        mlflow_run_id=tracker.run_id,
        tracking_error=tracker.error,
        page=tracker.page,
        ui_command=tracker.ui_command,
    )


def _finished(cfg: DictConfig, run_dir: Path) -> RunResult | None:
    """The result of a run that has come to its end before.

    Raises:
        ConfigError: it was another run's.
    """
    if not (run_dir / RECORD_FILE).is_file():
        return None
    record = read_record(run_dir)
    if record["status"] != "finished":
        return None
    was = record["params"]
    now = parameters(cfg, was["dataset"], cfg.dataset.get("category") or was["category"])
    changed = [f"{name}={now[name]} (was {was[name]})" for name in now if was[name] != now[name]]
    if changed:
        raise ConfigError(
            f"{run_dir} is finished, and with {', '.join(changed)} it would be another run; "
            "start that one in a folder of its own"
        )
    log.info("%s is finished: nothing to do", run_dir)
    from rdad.metrics.thresholds import Thresholds

    plain, tracking = record.get("thresholds"), record["tracking"]
    return RunResult(
        read_metrics(run_dir),
        run_dir,
        record["train_seconds"],
        tracking["run_id"],
        tracking["error"],
        thresholds=Thresholds.from_dict(plain) if plain else None,
    )

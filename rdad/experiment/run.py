"""In what order a run is made of its parts; rdad.experiment.stages holds its stages."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from rdad.config.build import build, prepared
from rdad.config.checks import check
from rdad.config.compose import with_chosen_weights
from rdad.experiment.precheck import check_surroundings
from rdad.experiment.resume import finished_before
from rdad.runs.folder import alone_in
from rdad.runs.record import RECORD_FILE
from rdad.runs.slow_imports import slow_imports

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
        FolderInUseError: another process writes into `output_dir`.
        KeyboardInterrupt: Ctrl-C; the run folder then holds the weights as they were.
    """
    check(cfg)
    run_dir = Path(output_dir)
    chosen = with_chosen_weights(cfg)
    if cfg.resume and (known := finished_before(chosen, run_dir)):
        return RunResult(**known)
    check_surroundings(chosen)
    if cfg.resume and not (run_dir / RECORD_FILE).is_file():
        log.info("there is no run in %s to go on with: a new one begins", run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with alone_in(run_dir):
        return _made(cfg, run_dir)


def _made(cfg: DictConfig, run_dir: Path) -> RunResult:
    with slow_imports():
        from rdad.experiment.again import train_again
        from rdad.experiment.book import Book
        from rdad.experiment.stages import Scoring, Training, network_of, test_costs
        from rdad.experiment.trainer import check_trainer, seed_everything, with_known_precision
        from rdad.results.evaluation import asked_overlaps
        from rdad.results.report.contents import ReportSubject
        from rdad.training.machine import use_threads

    use_threads(cfg.threads)
    given, cfg = cfg, with_known_precision(with_chosen_weights(cfg))
    seed_everything(cfg.seed)
    check_trainer(cfg)
    images = prepared(build(cfg.dataset))
    asked_overlaps(images, cfg.evaluation, check=True)
    network = network_of(cfg)
    book = Book(cfg, run_dir, given=given)
    training = Training(book, images, network)
    training.check_batches()
    if not training.trainer.is_global_zero:  # of a distributed run, the first does the rest
        training.fit()
        return RunResult({}, run_dir)
    training.check_checkpoint()
    with book.opened(images, training.encoder_digest):
        training.train()
        precision = training.trainer.precision_plugin.forward_context
        subject = ReportSubject(
            title=images.category,
            settings=book.record["params"],
            date=book.record["started"],
            source=str(run_dir.absolute()),
            again=train_again(cfg, run_dir),
        )
        scoring = Scoring(cfg, run_dir, training.model, images, precision, subject)
        thresholds = scoring.calibrate(cfg.thresholds)
        training.save_model(thresholds)
        book.record.update(thresholds=None if thresholds is None else thresholds.to_dict())
        started = time.perf_counter()
        metrics, undefined = scoring.test(thresholds)
        book.record.update(**test_costs(started), undefined=undefined)
        book.finish(metrics)
    tracked, seconds = book.tracked(), book.record["train_seconds"]
    return RunResult(metrics, run_dir, seconds, **tracked, thresholds=thresholds)

"""What a run writes down while it lasts, in run.json and in MLflow, and how it closes both."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rdad.config.build import build
from rdad.config.parameters import parameters, run_name
from rdad.data import AnomalyDataModule
from rdad.detector.model_file import MODEL_FILE
from rdad.results.curves import FOLDER as CURVES_FOLDER
from rdad.results.report.writer import REPORT_FILE
from rdad.results.writer import MAPS_FOLDER, OVERLAYS_FOLDER, SCORES_FILE
from rdad.runs.files import CALIBRATION_FILE, HISTORY_FILE, METRICS_FILE
from rdad.runs.record import RECORD_FILE, RunRecord, overrides, read_record, write_config
from rdad.runs.stopping import why_stopped
from rdad.tracking import source_tags
from rdad.training.checkpoint import CHECKPOINT_FILE

if TYPE_CHECKING:
    from rdad.tracking import MlflowTracker
    from rdad.tracking.tracker import Status


RESULTS = (
    CALIBRATION_FILE,
    CHECKPOINT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    MODEL_FILE,
    REPORT_FILE,
    SCORES_FILE,
)
RESULT_FOLDERS = (CURVES_FOLDER, MAPS_FOLDER, OVERLAYS_FOLDER)


class RunBook:
    """The record of one run and, unless it is off, its tracking.

    Attributes:
        record: run.json, there once the book is open.
        before: What an earlier attempt wrote down; empty where this is the first.
        tracker: None with tracking=off.
    """

    record: RunRecord

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir
        self.tracker: MlflowTracker | None = build(cfg.tracking) if cfg.tracking else None
        resumed = cfg.resume and (run_dir / RECORD_FILE).is_file()
        self.before: dict[str, Any] = read_record(run_dir) if resumed else {}

    @contextmanager
    def opened(self, data: AnomalyDataModule, *, encoder_digest: str) -> Iterator[None]:
        """Write down what begins and how it ended, on disk first and in MLflow after."""
        self._begin(data, encoder_digest)
        try:
            yield
        except BaseException as error:
            stopped = why_stopped(error)
            reason = stopped or f"{type(error).__name__}: {error}"
            with suppress(OSError):  # a full disk may be what stopped it
                self.record.end("interrupted" if stopped else "failed", reason=reason)
            self._close_tracking("KILLED" if stopped else "FAILED", {})
            raise

    def finish(self, metrics: dict[str, float]) -> None:
        """The run came to its end: nothing will be resumed."""
        self._close_tracking("FINISHED", metrics)
        self.record.end("finished")
        (self.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)

    def _begin(self, data: AnomalyDataModule, encoder_digest: str) -> None:
        """run.json, and a run in MLflow: the same one if this run was begun before."""
        cfg = self.cfg
        known = self._tracked_before()
        if not self.before:
            _clear(self.run_dir)
        write_config(self.run_dir, cfg)
        self.record = RunRecord(
            self.run_dir,
            checkpoint=self.before.get("checkpoint"),  # of what training, if one is there
            experiment=(cfg.tracking and cfg.tracking.experiment) or data.name,
            run_name=run_name(cfg, data.category),
            params=parameters(cfg, str(data.name), data.category),
            tags=source_tags(overrides(self.run_dir)),
            tracking=known,
            encoder_digest=encoder_digest,
            data_digest=data.content_digest,
            images={
                "train": len(data.train_samples),
                "calibration": len(data.calibration_samples),
                "test": len(data.test_samples),
            },
        )
        if self.tracker is not None:
            names = ("experiment", "run_name", "params", "tags")
            facts = {name: self.record[name] for name in names}
            self.tracker.start(**facts, run_id=known["run_id"])
            self._record_tracking()

    def _tracked_before(self) -> dict[str, str | None]:
        uri = self.tracker.uri if self.tracker else None
        before = self.before.get("tracking", {})
        if before.get("uri") == uri and before:
            return before
        return {"uri": uri, "run_id": None, "error": None}

    def _close_tracking(self, status: "Status", metrics: dict[str, float]) -> None:
        if self.tracker is not None:
            self.tracker.finish(self.run_dir, status, metrics)
            self._record_tracking()

    def _record_tracking(self) -> None:
        tracker = self.tracker
        if tracker is not None:
            known = {"uri": tracker.uri, "run_id": tracker.run_id, "error": tracker.error}
            with suppress(OSError):
                self.record.update(tracking=known)


def _clear(run_dir: Path) -> None:
    """Take away what an earlier run left in the same folder, so that nothing passes for this one's.

    What was made of it later, as exports and evaluations, stays, and so does all else.
    """
    if not (run_dir / RECORD_FILE).is_file():
        return
    for name in RESULTS:
        (run_dir / name).unlink(missing_ok=True)
    for name in RESULT_FOLDERS:
        shutil.rmtree(run_dir / name, ignore_errors=True)

"""What a run writes down while it lasts, in run.json and in MLflow, and how it closes both."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rdad.config.build import build
from rdad.config.parameters import parameters, run_name
from rdad.data import AnomalyDataModule
from rdad.runs.ending import why_stopped
from rdad.runs.files import (
    CALIBRATION_FILE,
    CHECKPOINT_FILE,
    CURVES_FOLDER,
    DRAFT,
    HISTORY_FILE,
    MAPS_FOLDER,
    METRICS_FILE,
    MODEL_FILE,
    OVERLAYS_FOLDER,
    REPORT_FILE,
    SCORES_FILE,
    remove_drafts,
)
from rdad.runs.record import (
    NOWHERE,
    RECORD_FILE,
    RunRecord,
    overrides,
    read_record,
    write_config,
)
from rdad.tracking import source_tags
from rdad.tracking.store import shown_uri

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


class Book:
    """The record of one run and, unless it is off, its tracking.

    Args:
        cfg: What the run is made by.
        given: The same before a machine's part was put in, to be kept in the folder.

    Attributes:
        before: What an earlier attempt wrote down; empty where this is the first.
        record: run.json, once it is opened.
        tracker: None with tracking=off.
    """

    record: RunRecord

    def __init__(self, cfg: DictConfig, run_dir: Path, *, given: DictConfig) -> None:
        self.cfg, self.run_dir, self._given = cfg, run_dir, given
        self.tracker: MlflowTracker | None = build(cfg.tracking) if cfg.tracking else None
        resumed = cfg.resume and (run_dir / RECORD_FILE).is_file()
        self.before: dict[str, Any] = read_record(run_dir) if resumed else {}

    @contextmanager
    def opened(self, data: AnomalyDataModule, encoder_digest: str) -> Iterator[None]:
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

    def log_epoch(self, figures: Mapping[str, float], epoch: int) -> None:
        """Into MLflow; history.csv has them already."""
        if self.tracker is not None:
            self.tracker.log_metrics(figures, step=epoch)

    def fetch_training(self, fingerprint: str, folder: Path) -> tuple[Path, str] | None:
        """A training that another machine's run offers, and whose it is, see the tracker's."""
        if self.tracker is None or not (found := self.tracker.fetch_training(fingerprint, folder)):
            return None
        return found[0], f"run {found[1]} of {self.tracker.shown_uri}"

    def tracked(self) -> dict[str, str | None]:
        """The fields of `rdad.RunResult` that say where the run is seen."""
        if (tracker := self.tracker) is None:
            return {}
        seen = {"page": tracker.page, "ui_command": tracker.ui_command}
        return {"mlflow_run_id": tracker.run_id, "tracking_error": tracker.error, **seen}

    def finish(self, metrics: dict[str, float]) -> None:
        """The run came to its end: nothing will be resumed."""
        self._close_tracking("FINISHED", metrics)
        self.record.end("finished")
        (self.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)

    def _begin(self, data: AnomalyDataModule, encoder_digest: str) -> None:
        """run.json, and a run in MLflow: the same one if this run was begun before."""
        cfg = self.cfg
        tracking = self.before.get("tracking") or NOWHERE
        uri = self.tracker.shown_uri if self.tracker else None
        if shown_uri(tracking["uri"] or "") != uri:
            tracking = NOWHERE | {"uri": uri}
        if not self.before:
            _clear(self.run_dir)
        for name in RESULT_FOLDERS:
            remove_drafts(self.run_dir, f"{name}/**/{DRAFT}*")
        write_config(self.run_dir, self._given)
        told: dict[str, Any] = {
            "experiment": (cfg.tracking and cfg.tracking.experiment) or data.name,
            "run_name": run_name(cfg, data.category),
            "params": parameters(cfg, str(data.name), data.category),
            "tags": source_tags(overrides(self.run_dir)),
        }
        self.record = RunRecord(
            self.run_dir,
            checkpoint=self.before.get("checkpoint"),  # of what training, if one is there
            **told,
            tracking=tracking,
            encoder_digest=encoder_digest,
            data_digest=data.content_digest,
            bits=data.bits,
            images={
                "train": len(data.train_samples),
                "calibration": len(data.calibration_samples),
                "test": len(data.test_samples),
            },
        )
        if self.tracker is not None:
            self.tracker.start(**told, run_id=tracking["run_id"])
            self._record_tracking(self.tracker)

    def _close_tracking(self, status: "Status", metrics: dict[str, float]) -> None:
        if self.tracker is not None:
            self.tracker.finish(self.run_dir, status, metrics)
            self._record_tracking(self.tracker)

    def _record_tracking(self, tracker: "MlflowTracker") -> None:
        known = {"uri": tracker.shown_uri, "run_id": tracker.run_id, "error": tracker.error}
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

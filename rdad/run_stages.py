"""The stages of one run in its folder: train, test, track, and an end that says how it came."""

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from rdad.artifacts import ArtifactWriter
from rdad.checkpoint import CHECKPOINT_FILE, Checkpoint
from rdad.config import ConfigError
from rdad.curves import write_loss_curve
from rdad.data import AnomalyDataModule
from rdad.evaluation import calibrate_into, evaluate_into, metrics_for
from rdad.experiment import build
from rdad.metrics import AnomalyMetrics
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.model_file import MODEL_FILE, save_model, take_trained_parts
from rdad.model.torch_model import ReverseDistillationModel
from rdad.report.contents import ReportSubject
from rdad.reuse import claimed, find_training, remember_training, training_fingerprint
from rdad.run_files import HISTORY_FILE, read_history
from rdad.run_record import (
    RECORD_FILE,
    RunRecord,
    overrides,
    parameters,
    read_record,
    run_name,
    write_config,
)
from rdad.tracking import source_tags
from rdad.training import (
    CachedFeatures,
    EpochReport,
    ProgressBar,
    WatchedMetrics,
    WatchedTiledMetrics,
    compiled_steps,
)

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from rdad.thresholds import Thresholds
    from rdad.tracking import MlflowTracker
    from rdad.tracking.open_run import Status

log = logging.getLogger(__name__)


class RunStages:
    """What `rdad.experiment.run` calls, in its order; each stage leaves its part of the folder."""

    def __init__(
        self,
        cfg: DictConfig,
        run_dir: Path,
        datamodule: AnomalyDataModule,
        module: ReverseDistillation,
    ) -> None:
        self.cfg, self.run_dir = cfg, run_dir
        self.datamodule, self.module = datamodule, module
        self.tracker: MlflowTracker | None = build(cfg.tracking) if cfg.tracking else None
        report = self.tracker.log_metrics if self.tracker else None
        is_terminal = sys.stderr.isatty()
        self.thresholds: Thresholds | None = None
        self._epochs = EpochReport(run_dir, report, log_lines=not is_terminal)
        self._trainer = self._make_trainer([ProgressBar()] if is_terminal else [])

    def fit(self) -> None:
        """Lightning's part, in every process of a distributed run; goes on where it stopped."""
        checkpoint = self.run_dir / CHECKPOINT_FILE
        resumed = str(checkpoint) if self.cfg.resume and checkpoint.is_file() else None
        if resumed:
            log.info("going on from %s", checkpoint)
        try:
            with compiled_steps(self.module, self.cfg.compile):
                self._trainer.fit(self.module, datamodule=self.datamodule, ckpt_path=resumed)
        except SystemExit as stopped:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stopped
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # the test is the first process's alone

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write down what begins and how it ended, on disk first and in MLflow after."""
        self._begin()
        try:
            yield
        except BaseException as error:
            by_user = isinstance(error, KeyboardInterrupt)
            reason = "stopped by Ctrl-C" if by_user else f"{type(error).__name__}: {error}"
            with suppress(OSError):  # a full disk may be what stopped it
                self._record.end("interrupted" if by_user else "failed", reason=reason)
            self._close_tracking("KILLED" if by_user else "FAILED", {})
            raise

    @property
    def train_seconds(self) -> float:
        return self._record["train_seconds"]

    def train(self) -> None:
        """Take over a finished training that serves this run too, or train."""
        fingerprint = training_fingerprint(
            self.cfg,
            data_digest=self.datamodule.content_digest,
            encoder_digest=self._record["encoder_digest"],
        )
        if self._before.get("training") == fingerprint and self._before["trained"]:
            log.info("the training was finished before")
            take_trained_parts(self.run_dir / MODEL_FILE, self.module.model)
            self._record.update(training=fingerprint, trained=True, **_measured(self._before))
            return
        self._record.update(training=fingerprint, trained=False)
        with claimed(fingerprint) if self.cfg.reuse else nullcontext():
            if self.cfg.reuse and self._reused(fingerprint):
                return
            self._train()
            remember_training(fingerprint, self.run_dir)

    def _reused(self, fingerprint: str) -> bool:
        """Whether a training was found, on this machine or through the tracking server."""
        found = find_training(fingerprint)
        if found is not None:
            self._take_over(found, str(found.absolute()))
            return True
        if self.tracker is None:
            return False
        with TemporaryDirectory(dir=self.run_dir) as folder:
            offered = self.tracker.fetch_training(fingerprint, Path(folder))
            if offered is not None:
                self._take_over(offered[0], f"run {offered[1]} of {self.tracker.uri}")
        return offered is not None

    def _take_over(self, source: Path, described: str) -> None:
        log.info("reused the training of %s", described)
        take_trained_parts(source / MODEL_FILE, self.module.model)
        self._save_model()
        shutil.copyfile(source / HISTORY_FILE, self.run_dir / HISTORY_FILE)
        write_loss_curve(self.run_dir)
        if self.tracker is not None:
            for figures in read_history(self.run_dir):
                self.tracker.log_metrics(figures, step=int(figures.pop("epoch")))
        self._record.update(reused_from=described, **_measured(read_record(source)))

    def _train(self) -> None:
        try:
            self.fit()
        finally:
            self._save_model()
            write_loss_curve(self.run_dir)
        seconds, epochs = self._epochs.train_seconds, self._trainer.current_epoch
        rate = self.datamodule.train_length * epochs / seconds
        seen = "images" if self.datamodule.tiling is None else "tiles"
        log.info("trained %d epochs in %.1f s: %.1f %s a second", epochs, seconds, rate, seen)
        measured = {"train_seconds": round(seconds, 3), "images_per_second": round(rate, 3)}
        self._record.update(trained=True, **measured)

    def _save_model(self) -> None:
        save_model(
            self.run_dir / MODEL_FILE,
            self.module.model,
            self.module.network_arguments,
            self.thresholds,
            self.datamodule.tiling,
        )

    def calibrate(self) -> None:
        """Thresholds from the images that were held back, into the model file and the record."""
        self.thresholds = calibrate_into(
            self.run_dir,
            self._model_to_score(),
            self.datamodule,
            **self.cfg.thresholds,
            precision=self._trainer.precision_plugin.forward_context,
        )
        self._save_model()
        plain = None if self.thresholds is None else self.thresholds.to_dict()
        self._record.update(thresholds=plain)

    def test(self) -> dict[str, float]:
        """Metrics of the raw scores and maps, by their names in MLflow, and all artifacts."""
        started = time.perf_counter()
        found = evaluate_into(
            self.run_dir,
            self._model_to_score(),
            self.datamodule,
            self._metrics(self.thresholds),
            self._writer(),
            precision=self._trainer.precision_plugin.forward_context,
        )
        self._record.update(
            test_seconds=round(time.perf_counter() - started, 3),
            peak_memory_bytes=_peak_memory(),
            undefined=found.undefined,
        )
        return found.metrics

    def _model_to_score(self) -> ReverseDistillationModel:
        return self.module.model.to(self._trainer.strategy.root_device)

    def _writer(self) -> ArtifactWriter:
        artifacts = self.cfg.artifacts
        return ArtifactWriter(
            self.run_dir,
            category=self.datamodule.category,
            maps=artifacts.maps,
            overlays=artifacts.overlays,
            fpr_limit=self.cfg.evaluation.fpr_limit,
            report=self._report_subject() if artifacts.report else None,
            thresholds=self.thresholds,
        )

    def _report_subject(self) -> ReportSubject:
        return ReportSubject(
            title=self.datamodule.category,
            settings=self._record["params"],
            date=self._record["started"],
            images=len(self.datamodule.test_samples),
        )

    def finish(self, metrics: dict[str, float]) -> None:
        self._close_tracking("FINISHED", metrics)
        self._record.end("finished")
        (self.run_dir / CHECKPOINT_FILE).unlink(missing_ok=True)

    def _begin(self) -> None:
        """run.json, and a run in MLflow: the same one if this run was begun before."""
        cfg, data = self.cfg, self.datamodule
        self._before = self._resumed_record()
        known = self._tracked_before()
        write_config(self.run_dir, cfg)
        self._record = RunRecord(
            self.run_dir,
            experiment=(cfg.tracking and cfg.tracking.experiment) or data.name,
            run_name=run_name(cfg, data.category),
            params=parameters(cfg, str(data.name), data.category),
            tags=source_tags(overrides(self.run_dir)),
            tracking=known,
            encoder_digest=self.module.model.encoder.digest(),
            data_digest=data.content_digest,
            images={
                "train": len(data.train_samples),
                "calibration": len(data.calibration_samples),
                "test": len(data.test_samples),
            },
        )
        if self.tracker is not None:
            names = ("experiment", "run_name", "params", "tags")
            facts = {name: self._record[name] for name in names}
            self.tracker.start(**facts, run_id=known["run_id"])
            self._record_tracking()

    def _resumed_record(self) -> dict[str, Any]:
        """What an earlier attempt wrote down; empty where this is the first."""
        resumed = self.cfg.resume and (self.run_dir / RECORD_FILE).is_file()
        return read_record(self.run_dir) if resumed else {}

    def _tracked_before(self) -> dict[str, str | None]:
        uri = self.tracker.uri if self.tracker else None
        before = self._before.get("tracking", {})
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
                self._record.update(tracking=known)

    def _metrics(self, thresholds: "Thresholds | None" = None) -> AnomalyMetrics:
        return metrics_for(self.datamodule, thresholds, **self.cfg.evaluation)

    def _watched(self) -> WatchedMetrics | WatchedTiledMetrics:
        if self.datamodule.tiling is not None:
            return WatchedTiledMetrics(self._metrics(), self.datamodule)
        return WatchedMetrics(self._metrics(), has_masks=self.datamodule.has_masks)

    def _make_trainer(self, callbacks: "list[Callback]") -> L.Trainer:
        """Lightning's Trainer; logging, checkpoints and progress are ours."""
        if self.datamodule.validation == "test":
            log.info("validation=test: its metrics are to watch, and never to choose by")
            callbacks.append(self._watched())
        if self.cfg.cache_features != "none":
            callbacks.append(CachedFeatures(self.datamodule, self.cfg.cache_features))
        every = self.cfg.checkpoint_every_n_epochs
        callbacks += [self._epochs, Checkpoint(self.run_dir, every=every)]
        _quiet_lightning()
        try:
            return build(
                self.cfg.trainer,
                callbacks=callbacks,
                default_root_dir=str(self.run_dir),
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=False,
                num_sanity_val_steps=0,
                limit_val_batches=0 if self.datamodule.validation == "none" else None,
                log_every_n_steps=1,
            )
        except (ConfigError, InstantiationException) as error:
            raise ConfigError(f"trainer: {error.__cause__ or error}") from error


def _measured(record: dict[str, Any]) -> dict[str, float]:
    return {name: record[name] for name in ("train_seconds", "images_per_second")}


def _quiet_lightning() -> None:
    """Keep back what it says of things that are meant to be so."""
    for message in (
        ".*does not have many workers.*",
        ".*in eval mode at the start of training.*",
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def _peak_memory() -> int:
    """Bytes: of the GPU where one was used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)

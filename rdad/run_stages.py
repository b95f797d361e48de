"""The stages of one run in its folder: train, calibrate, test."""

import logging
import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig

from rdad.artifacts import ArtifactWriter
from rdad.checkpoint import CHECKPOINT_FILE
from rdad.curves import write_loss_curve
from rdad.data import AnomalyDataModule
from rdad.evaluation import calibrate_into, evaluate_into, metrics_for
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.model_file import MODEL_FILE, save_model, take_trained_parts
from rdad.model.torch_model import ReverseDistillationModel
from rdad.precision import OF_LIGHTNING
from rdad.report.contents import ReportSubject
from rdad.reuse import claimed, find_training, remember_training, training_fingerprint
from rdad.run_book import RunBook
from rdad.run_files import HISTORY_FILE, read_history
from rdad.run_record import read_record
from rdad.run_trainer import make_trainer
from rdad.training import EpochReport, compiled_steps

if TYPE_CHECKING:
    from rdad.thresholds import Thresholds

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
        self.book = RunBook(cfg, run_dir)
        report = self.book.tracker.log_metrics if self.book.tracker else None
        self._epochs = EpochReport(run_dir, report, log_lines=not sys.stderr.isatty())
        self._trainer = make_trainer(cfg, run_dir, datamodule, self._epochs)
        self.thresholds: Thresholds | None = None

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

    @property
    def train_seconds(self) -> float:
        return self.book.record["train_seconds"]

    def train(self) -> None:
        """Take over a finished training that serves this run too, or train."""
        fingerprint = training_fingerprint(
            self.cfg,
            data_digest=self.datamodule.content_digest,
            encoder_digest=self.book.record["encoder_digest"],
        )
        record, before = self.book.record, self.book.before
        if before.get("training") == fingerprint and before["trained"]:
            log.info("the training was finished before")
            take_trained_parts(self.run_dir / MODEL_FILE, self.module.model)
            record.update(training=fingerprint, trained=True, **_measured(before))
            return
        record.update(training=fingerprint, trained=False)
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
        tracker = self.book.tracker
        if tracker is None:
            return False
        with TemporaryDirectory(dir=self.run_dir) as folder:
            offered = tracker.fetch_training(fingerprint, Path(folder))
            if offered is not None:
                self._take_over(offered[0], f"run {offered[1]} of {tracker.uri}")
        return offered is not None

    def _take_over(self, source: Path, described: str) -> None:
        log.info("reused the training of %s", described)
        take_trained_parts(source / MODEL_FILE, self.module.model)
        self._save_model()
        shutil.copyfile(source / HISTORY_FILE, self.run_dir / HISTORY_FILE)
        write_loss_curve(self.run_dir)
        if self.book.tracker is not None:
            for figures in read_history(self.run_dir):
                self.book.tracker.log_metrics(figures, step=int(figures.pop("epoch")))
        self.book.record.update(reused_from=described, **_measured(read_record(source)))

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
        self.book.record.update(trained=True, **measured)

    def _save_model(self) -> None:
        save_model(
            self.run_dir / MODEL_FILE,
            self.module.model,
            self.module.network_arguments,
            self.thresholds,
            self.datamodule.tiling,
            OF_LIGHTNING[self.cfg.trainer.precision],
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
        self.book.record.update(thresholds=plain)

    def test(self) -> dict[str, float]:
        """Metrics of the raw scores and maps, by their names in MLflow, and all artifacts."""
        started = time.perf_counter()
        found = evaluate_into(
            self.run_dir,
            self._model_to_score(),
            self.datamodule,
            metrics_for(self.datamodule, self.thresholds, **self.cfg.evaluation),
            self._writer(),
            precision=self._trainer.precision_plugin.forward_context,
        )
        self.book.record.update(
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
            settings=self.book.record["params"],
            date=self.book.record["started"],
            images=len(self.datamodule.test_samples),
        )


def _measured(record: dict[str, Any]) -> dict[str, float]:
    return {name: record[name] for name in ("train_seconds", "images_per_second")}


def _peak_memory() -> int:
    """Bytes: of the GPU where one was used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)

"""The stages of one run in its folder: train, calibrate, test."""

import logging
import sys
import time
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from omegaconf import DictConfig

from rdad.config.compose import ConfigError
from rdad.data import AnomalyDataModule
from rdad.detector.model_file import MODEL_FILE, save_model, take_trained_parts
from rdad.experiment.book import RunBook
from rdad.experiment.trainer import make_trainer
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.precision import OF_LIGHTNING
from rdad.model.torch_model import ReverseDistillationModel
from rdad.results.curves import write_loss_curve
from rdad.results.evaluation import calibrate_into, evaluate_into, metrics_for
from rdad.results.report.contents import ReportSubject
from rdad.results.writer import ArtifactWriter
from rdad.runs.files import read_history, write_history
from rdad.runs.record import read_record
from rdad.runs.stopping import TERMINATED
from rdad.training.callbacks import WATCHED, EpochReport, compiled_steps
from rdad.training.checkpoint import CHECKPOINT_FILE
from rdad.training.reuse import claimed, find_training, remember_training, training_fingerprint

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

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
        except SystemExit as stopped:
            if stopped.code == 1:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from stopped
            raise SystemExit(TERMINATED) from stopped
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # the test is the first process's alone

    @cached_property
    def encoder_digest(self) -> str:
        return self.module.model.encoder.digest()

    @property
    def train_seconds(self) -> float:
        return self.book.record["train_seconds"]

    def train(self) -> None:
        """Take over a finished training that serves this run too, or train."""
        fingerprint = self._fingerprint()
        record, before = self.book.record, self.book.before
        kept = {"training": fingerprint, "checkpoint": self._fingerprint(of_any_length=True)}
        alone = not _started_from_outside(self._trainer)
        is_kept = before.get("training") == fingerprint and before["trained"]
        if alone and is_kept and (self.run_dir / MODEL_FILE).is_file():
            log.info("the training was finished before")
            take_trained_parts(self.run_dir / MODEL_FILE, self.module.model)
            record.update(**kept, trained=True, **_measured(before))
            return
        record.update(**kept, trained=False)
        reuse = self.cfg.reuse and alone
        with claimed(fingerprint) if reuse else nullcontext():
            if reuse and self._reused(fingerprint):
                return
            self._train()
            remember_training(fingerprint, self.run_dir)

    def _fingerprint(self, *, of_any_length: bool = False) -> str:
        return training_fingerprint(
            self.cfg,
            data_digest=self.datamodule.content_digest,
            encoder_digest=self.encoder_digest,
            of_any_length=of_any_length,
        )

    def check_checkpoint(self) -> None:
        """Optimiser and random state are of one training, and go on with no other.

        Raises:
            ConfigError: the checkpoint that the run would go on from is of another training.
        """
        before, now = self.book.before.get("checkpoint"), self._fingerprint(of_any_length=True)
        if before not in (None, now) and (self.run_dir / CHECKPOINT_FILE).is_file():
            raise ConfigError(
                f"the checkpoint in {self.run_dir} is of other images, settings or versions of "
                "packages, and only trainer.max_epochs may change; start anew in another folder, "
                "or in this one without resume"
            )

    def _reused(self, fingerprint: str) -> bool:
        """Whether a training was found, on this machine or through the tracking server."""
        found = find_training(fingerprint)
        if found is not None:
            return self._take_over(found, str(found.absolute()))
        tracker = self.book.tracker
        if tracker is None:
            return False
        with TemporaryDirectory(dir=self.run_dir) as folder:
            offered = tracker.fetch_training(fingerprint, Path(folder))
            if offered is None:
                return False
            return self._take_over(offered[0], f"run {offered[1]} of {tracker.uri}")

    def _take_over(self, source: Path, described: str) -> bool:
        """False where the files of that training are gone or damaged."""
        try:
            take_trained_parts(source / MODEL_FILE, self.module.model)
            history, measured = read_history(source), _measured(read_record(source))
        except (OSError, ValueError, KeyError) as error:
            log.warning("the training of %s was not taken over: %s", described, error)
            return False
        log.info("reused the training of %s", described)
        self._save_model()
        own = [  # what was watched was of the other run's maps
            {name: value for name, value in figures.items() if not name.startswith(WATCHED)}
            for figures in history
        ]
        write_history(self.run_dir, own)
        write_loss_curve(self.run_dir)
        if self.book.tracker is not None:
            for figures in own:
                self.book.tracker.log_metrics(figures, step=int(figures.pop("epoch")))
        self.book.record.update(reused_from=described, **measured)
        return True

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


def _started_from_outside(trainer: L.Trainer) -> bool:
    """Whether torchrun, srun or the like started other processes, which wait in the training."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    started = environment is not None and environment.creates_processes_externally
    return started and trainer.world_size > 1


def _measured(record: dict[str, Any]) -> dict[str, float]:
    return {name: record[name] for name in ("train_seconds", "images_per_second")}


def _peak_memory() -> int:
    """Bytes: of the GPU where one was used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if sys.platform == "darwin" else 1024)

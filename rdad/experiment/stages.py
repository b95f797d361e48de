"""The stages of a run, of which an evaluation has the last two: train, calibrate, test."""

import logging
import math
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig, OmegaConf

from rdad.config.build import build
from rdad.config.mistakes import ConfigError
from rdad.config.parameters import training_settings
from rdad.data import AnomalyDataModule
from rdad.detector.model_file import model_file, save_model, take_trained_parts
from rdad.experiment.book import Book
from rdad.experiment.trainer import make_trainer
from rdad.metrics.thresholds import Thresholds
from rdad.model.geometry import check_batches
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.precision import OF_LIGHTNING, Precision
from rdad.model.torch_model import ReverseDistillationModel
from rdad.model.weights import read_plain, weights_digest
from rdad.results.curves import write_loss_curve
from rdad.results.evaluation import asked_overlaps, calibrate_into, evaluate_into, metrics_for
from rdad.results.report.contents import ReportSubject
from rdad.results.writer import ArtifactWriter
from rdad.runs.ending import TERMINATED
from rdad.runs.files import CHECKPOINT_FILE, MODEL_FILE, write_history
from rdad.training.callbacks import EpochReport, compiled_steps
from rdad.training.progress import steps_an_epoch
from rdad.training.reuse import (
    MEASURED,
    claimed,
    remember_training,
    take_over,
    training_fingerprint,
)

log = logging.getLogger(__name__)


def network_of(cfg: DictConfig) -> ReverseDistillation:
    """The network of `model`, its trained parts as in the run or file `model.start_from`.

    Raises:
        ConfigError, FileNotFoundError: as `build`; or what it is to start from does not fit it.
    """
    plain: Any = OmegaConf.to_container(cfg.model, resolve=True)
    del plain["start_from"]
    node: Any = OmegaConf.create(plain)
    module = build(node)
    if cfg.model.start_from is not None:
        try:
            take_trained_parts(model_file(cfg.model.start_from), module.model)
        except ValueError as error:
            raise ConfigError(f"model.start_from: {error}") from error
    return module


class Training:
    """A network trained on its images, or filled from a training that was done before."""

    def __init__(self, book: Book, images: AnomalyDataModule, module: ReverseDistillation) -> None:
        self.cfg, self.run_dir, self.book = book.cfg, book.run_dir, book
        self.images, self.module = images, module
        self.encoder_digest = module.model.encoder.digest()
        started = self.cfg.model.start_from is not None
        trained = module.model.bottleneck, module.model.decoder
        self._start = weights_digest(*trained) if started else None
        self._epochs = EpochReport(self.run_dir, book.log_epoch, log_lines=not sys.stderr.isatty())
        self.trainer = make_trainer(self.cfg, self.run_dir, images, self._epochs)

    @property
    def model(self) -> ReverseDistillationModel:
        """On the device that it was, or would have been, trained on."""
        return self.module.model.to(self.trainer.strategy.root_device)

    def check_batches(self) -> None:
        """Of each process; a trainer that is told to see only some batches has its own will.

        Raises:
            ConfigError: a batch is too small for the network.
        """
        count = math.ceil(self.images.train_length / self.trainer.world_size)
        model, batch_size = self.module.model, self.images.batch_size
        if self.trainer.limit_train_batches == 1.0:
            try:
                check_batches(count, batch_size, model.input_size, model.layers)
            except ValueError as error:
                raise ConfigError(f"dataset.{error}") from error

    def check_checkpoint(self) -> None:
        """Optimiser and random state are of one training, and go on with no other.

        Raises:
            ConfigError: the checkpoint that the run would go on from is of another training.
        """
        before, now = self.book.before.get("checkpoint"), self._fingerprint(of_any_length=True)
        if before not in (None, now) and (self.run_dir / CHECKPOINT_FILE).is_file():
            raise ConfigError(
                f"the checkpoint in {self.run_dir} is of other images, settings or versions of "
                f"packages, and only {self._free_to_change()} may change; start anew in another "
                "folder, or in this one without resume"
            )

    def train(self) -> None:
        """Keep what an earlier attempt trained, take over a training that serves too, or train."""
        fingerprint, before = self._fingerprint(), self.book.before
        kept = {"training": fingerprint, "checkpoint": self._fingerprint(of_any_length=True)}
        alone = not _started_from_outside(self.trainer)
        is_kept = before.get("training") == fingerprint and before.get("trained")
        is_kept = is_kept and before.keys() >= {*MEASURED}
        if alone and is_kept and (self.run_dir / MODEL_FILE).is_file():
            log.info("the training was finished before")
            take_trained_parts(self.run_dir / MODEL_FILE, self.module.model)
            measured = {name: before[name] for name in MEASURED}
            self.book.record.update(**kept, trained=True, **measured)
            return
        self.book.record.update(**kept, trained=False)
        reuse = self.cfg.reuse and alone
        with claimed(fingerprint) if reuse else nullcontext():
            if reuse and self._take_over(fingerprint):
                return
            self._train()
            remember_training(fingerprint, self.run_dir)

    def fit(self) -> None:
        """Lightning's part, in every process of a distributed run; goes on where it stopped."""
        checkpoint = self.run_dir / CHECKPOINT_FILE
        resumed = str(checkpoint) if self.cfg.resume and checkpoint.is_file() else None
        if resumed:
            read_plain(checkpoint, "checkpoint", device="meta")  # Lightning would run code in it
            log.info("going on from %s", checkpoint)
        try:
            with compiled_steps(self.module, self.cfg.compile):
                self.trainer.fit(self.module, datamodule=self.images, ckpt_path=resumed)
        except SystemExit as stopped:
            if stopped.code == 1:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from stopped
            raise SystemExit(TERMINATED) from stopped
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # the test is the first process's alone

    def save_model(self, thresholds: Thresholds | None = None) -> None:
        """Write the network as it is now into model.pt."""
        configured: Any = OmegaConf.to_container(self.cfg.model)
        save_model(
            self.run_dir / MODEL_FILE,
            self.module.model,
            self.module.network_arguments | {"backbone": configured["backbone"]},
            thresholds,
            self.images.tiling,
            OF_LIGHTNING[self.cfg.trainer.precision],
            self.images.bits,
            self.images.framing,
        )

    def _fingerprint(self, *, of_any_length: bool = False) -> str:
        settings = training_settings(self.cfg)
        if self._start:  # by content, as images and encoder
            settings["model"]["start_from"] = self._start
        return training_fingerprint(
            settings,
            data_digest=self.images.content_digest,
            encoder_digest=self.encoder_digest,
            of_any_length=of_any_length and not self.module.follows_length,
        )

    def _free_to_change(self) -> str:
        if self.module.follows_length:
            return "what acts after a training (its schedule or loss follow its length)"
        return "trainer.max_epochs or trainer.max_steps"

    def _take_over(self, fingerprint: str) -> bool:
        """Whether another run's training serves; leaves what a training leaves."""
        fetch, folder = self.book.fetch_training, self.run_dir
        taken = take_over(fingerprint, self.module.model, folder=folder, fetch=fetch)
        if taken is None:
            return False
        self.save_model()
        write_history(self.run_dir, taken.history)
        write_loss_curve(self.run_dir)
        self.book.record.update(reused_from=taken.source, **taken.measured)
        return True

    def _train(self) -> None:
        try:
            self.fit()
        finally:
            self.save_model()
            write_loss_curve(self.run_dir)
        seconds = self._epochs.train_seconds
        epochs = self.trainer.global_step / steps_an_epoch(self.trainer)
        most = self.trainer.num_training_batches * self.images.batch_size * self.trainer.world_size
        rate = min(self.images.train_length, most) * epochs / seconds
        seen = "images" if self.images.tiling is None else "tiles"
        told = round(epochs, 2), seconds, rate, seen
        log.info("trained %g epochs in %.1f s: %.1f %s a second", *told)
        measured = dict(zip(MEASURED, (round(seconds, 3), round(rate, 3)), strict=True))
        self.book.record.update(trained=True, **measured)


@dataclass(frozen=True)
class Scoring:
    """A network before images: thresholds from those that were held back, and the test.

    Attributes:
        folder: Where what comes of it goes.
        model: On its device.
        subject: What the report says that it is about.
    """

    cfg: DictConfig
    folder: Path
    model: ReverseDistillationModel
    images: AnomalyDataModule
    precision: Precision
    subject: ReportSubject

    def calibrate(self, rates: Mapping[str, Any]) -> Thresholds | None:
        """None where no image was held back; `rates` as conf/train.yaml's `thresholds`."""
        given = (self.folder, self.model, self.images)
        return calibrate_into(*given, **rates, precision=self.precision)

    def test(self, thresholds: Thresholds | None) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics of the raw scores and maps, and all artifacts, as `evaluate_into` says."""
        artifacts, images = self.cfg.artifacts, self.images
        writer = ArtifactWriter(
            self.folder,
            category=images.category,
            maps=artifacts.maps,
            overlays=artifacts.overlays,
            fpr_limit=self.cfg.evaluation.fpr_limit,
            report=self.subject if artifacts.report else None,
            thresholds=thresholds,
        )
        overlaps = asked_overlaps(images, self.cfg.evaluation)
        metrics = metrics_for(images, thresholds, **self.cfg.evaluation)
        given = (self.folder, self.model, images, metrics, writer)
        return evaluate_into(*given, precision=self.precision, overlaps=overlaps)


def test_costs(started: float) -> dict[str, float]:
    """Seconds since `started`, and bytes: of the GPU where one was used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        peak = torch.cuda.max_memory_allocated()
    else:
        import resource

        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = kilobytes * (1 if sys.platform == "darwin" else 1024)
    seconds = round(time.perf_counter() - started, 3)
    return {"test_seconds": seconds, "peak_memory_bytes": peak}


def _started_from_outside(trainer: L.Trainer) -> bool:
    """Whether torchrun, srun or the like started other processes, which wait in the training."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    started = environment is not None and environment.creates_processes_externally
    return started and trainer.world_size > 1

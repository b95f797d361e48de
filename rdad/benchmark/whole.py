"""Whole epochs by Lightning's Trainer as a run has it, and whole evaluations."""

import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from rdad.benchmark.clock import Timing, interleaved_long, synchronise
from rdad.benchmark.rows import Row
from rdad.benchmark.subject import Subject
from rdad.metrics import AnomalyMetrics
from rdad.results.evaluation import evaluate
from rdad.training.callbacks import CachedFeatures


def whole_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    """First use of the images, features, an epoch, an evaluation; each on all images."""
    clock = EpochClock(subject.device, skipped=1)
    callbacks = [clock.started, CachedFeatures(subject.data), clock]
    trained = interleaved_long(
        {
            "first use": lambda: first_use(subject),
            "ours": lambda: fit(subject, callbacks, epochs=2),
            "plain": lambda: subject.plain.train_epoch(subject.train, subject.cfg.batch_size),
        },
        rounds=rounds,
        device=subject.device,
    )
    scored = interleaved_long(
        {"ours": lambda: evaluated(subject), "plain": lambda: subject.plain.evaluate(subject.test)},
        rounds=rounds,
        device=subject.device,
    )
    images, tested, precision = len(subject.train), len(subject.test), subject.precision
    epochs = Timing(tuple(clock.epochs), trained["ours"].peak_bytes)
    features = Timing(tuple(clock.preparations))
    yield Row("whole", "first use of the images", images + tested, trained["first use"])
    yield Row("whole", "features, once", images, features, precision=precision)
    yield Row("whole", "epoch", images, epochs, trained["plain"], precision)
    yield Row("whole", "evaluation", tested, **scored, precision=precision)


class _Started(Callback):
    """Notes when a training starts, ahead of all other callbacks."""

    seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = time.perf_counter()


class EpochClock(Callback):
    """Seconds of each epoch, and of what is prepared between `started` and the first one.

    Args:
        skipped: First epochs of each training that are not counted: in them memory is first
            touched and the optimiser's state made, which a training pays once.
    """

    def __init__(self, device: torch.device, *, skipped: int = 0) -> None:
        self.device, self.skipped, self.started = device, skipped, _Started()
        self.preparations: list[float] = []
        self.epochs: list[float] = []
        self._epoch_started = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        synchronise(self.device)
        self._epoch_started = time.perf_counter()
        if trainer.current_epoch == 0:
            self.preparations.append(self._epoch_started - self.started.seconds)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        synchronise(self.device)
        if trainer.current_epoch >= self.skipped:
            self.epochs.append(time.perf_counter() - self._epoch_started)


def fit(subject: Subject, callbacks: list[Any], *, epochs: int = 1) -> None:
    """Epochs as a run trains them, without its folder and its tracking."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            accelerator="gpu" if subject.device.type == "cuda" else "cpu",
            devices=1,
            precision=subject.cfg.trainer.precision,
            max_epochs=epochs,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(subject.module, datamodule=subject.data)
    subject.module.to(subject.device)


def evaluated(subject: Subject) -> dict[str, float]:
    """The figures of all test images, without pictures."""
    metrics = AnomalyMetrics(defect_types=subject.data.defect_types)
    return evaluate(subject.module.model, subject.data, metrics, precision=subject.autocast)


def first_use(subject: Subject) -> None:
    """Find, check, decode and keep all images, from an empty cache."""
    with tempfile.TemporaryDirectory(dir=subject.folder) as folder:
        subject.data_in(Path(folder)).prepare()

"""Whole epochs by Lightning's Trainer as a run has it, and whole evaluations."""

import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from rdad.benchmark.clock import Timing, interleaved, peak_memory, synchronise
from rdad.benchmark.rows import Row
from rdad.benchmark.subject import Subject
from rdad.evaluation import evaluate
from rdad.metrics import AnomalyMetrics
from rdad.training import CachedFeatures

LIGHTNING_PRECISION = {"32": "32-true", "bf16": "bf16-mixed"}


def whole_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    """First use of the images, features, an epoch, an evaluation; each on all images."""
    ours, plain = Training(subject), PlainTraining(subject)
    prepared = []
    for _ in range(rounds):
        prepared.append(first_use(subject))
        ours.epoch()
        plain.epoch()
    images, precision = len(subject.train), subject.cfg.precision
    everything = images + len(subject.test)
    yield Row("whole", "first use of the images", everything, Timing(tuple(prepared)))
    yield Row("whole", "features, once", images, ours.preparation, precision=precision)
    yield Row("whole", "epoch", images, ours.timing, plain.timing, precision)
    timings = interleaved(
        {
            "ours": lambda: evaluated(subject),
            "plain": lambda: subject.plain.evaluate(subject.test),
        },
        rounds=rounds,
        device=subject.device,
        observe=False,
    )
    yield Row("whole", "evaluation", len(subject.test), **timings, precision=precision)


class Training:
    """rdad's training, one epoch at a time; each begins with the encoder's features."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.clock = EpochClock(subject)
        self._peaks: list[int] = []

    def epoch(self) -> None:
        with peak_memory(self.subject.device) as peak:
            fit(self.subject, [self.clock.started, CachedFeatures(self.subject.data), self.clock])
        self._peaks.append(peak[0])

    @property
    def preparation(self) -> Timing:
        return Timing(tuple(self.clock.preparations))

    @property
    def timing(self) -> Timing:
        return Timing(tuple(self.clock.epochs), max(self._peaks))


class PlainTraining:
    """The plain program's epochs."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._seconds: list[float] = []
        self._peaks: list[int] = []

    def epoch(self) -> None:
        subject = self.subject
        with peak_memory(subject.device) as peak:
            start = time.perf_counter()
            subject.plain.train_epoch(subject.train, subject.cfg.batch_size)
            synchronise(subject.device)
            self._seconds.append(time.perf_counter() - start)
        self._peaks.append(peak[0])

    @property
    def timing(self) -> Timing:
        return Timing(tuple(self._seconds), max(self._peaks))


class _Started(Callback):
    """Notes when a training starts, ahead of all other callbacks."""

    seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds = time.perf_counter()


class EpochClock(Callback):
    """Seconds of each epoch, and of what is prepared between `started` and the first one."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.started = subject, _Started()
        self.preparations: list[float] = []
        self.epochs: list[float] = []
        self._epoch_started = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        synchronise(self.subject.device)
        self._epoch_started = time.perf_counter()
        if trainer.current_epoch == 0:
            self.preparations.append(self._epoch_started - self.started.seconds)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        synchronise(self.subject.device)
        self.epochs.append(time.perf_counter() - self._epoch_started)


def fit(subject: Subject, callbacks: list[Any], *, epochs: int = 1) -> None:
    """Train as a run does, without its folder and its tracking."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            accelerator="gpu" if subject.device.type == "cuda" else "cpu",
            devices=1,
            precision=LIGHTNING_PRECISION[subject.cfg.precision],  # type: ignore[arg-type]
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


def first_use(subject: Subject) -> float:
    """Seconds to find, check, decode and keep all images, from an empty cache."""
    with tempfile.TemporaryDirectory(dir=subject.folder) as folder:
        start = time.perf_counter()
        subject.data_in(Path(folder)).prepare()
        return time.perf_counter() - start

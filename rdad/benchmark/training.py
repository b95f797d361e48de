"""The encoder, a training step and what it consists of, and whole epochs by Lightning."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, LambdaCallback
from torch import Tensor

from rdad.benchmark.clock import Row, Task, Timing, synchronise
from rdad.benchmark.subject import Subject
from rdad.detector.device import computing_in, has_bf16
from rdad.model.precision import BF16, FLOAT32
from rdad.training.callbacks import CachedFeatures


def training_rows(subject: Subject) -> Iterator[Row]:
    encoder, plain = subject.module.model.encoder, subject.plain
    images = next(iter(subject.data.train_dataloader()))["images"].to(subject.device)
    normalised = encoder.normalise(images).contiguous()
    row = partial(subject.row, "training", images=len(images))

    def encode() -> list[Tensor]:
        with subject.autocast():
            return subject.module.model.encode(images)

    yield row("encoder", encode, partial(plain.encoder, normalised))
    features = [feature.float() for feature in encode()]
    step = Step(subject, features, subject.precision)
    yield row("step", step, partial(plain.train_step, normalised))
    for name, piece in step.pieces().items():
        yield row(f"  {name}", piece)
    other = BF16 if subject.precision == FLOAT32 else FLOAT32
    if other == FLOAT32 or has_bf16(subject.device):  # without, many times slower than float32
        yield row(f"step in {other}", Step(subject, features, other))
    yield from epoch_rows(subject)


class Step:
    """A training step of rdad on given features."""

    def __init__(self, subject: Subject, features: list[Tensor], precision: str) -> None:
        self.module, self.features = subject.module, features
        self.autocast = computing_in(precision, subject.device)
        self.optimizer: Any = self.module.configure_optimizers()

    def __call__(self) -> None:
        self.module.model.train()
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.module.reconstruction_loss(self.features)
        loss.backward()
        self.optimizer.step()

    def pieces(self) -> dict[str, Task]:
        """Forwards and backwards of each part; together about the whole step."""
        model = self.module.model.train()
        with torch.no_grad(), self.autocast():
            embedding = model.bottleneck(self.features)
            decoded = model.decoder(embedding)
        embedding.requires_grad_()
        student = [feature.requires_grad_() for feature in decoded]
        return {
            "bottleneck": partial(self._both_ways, model.bottleneck, self.features),
            "decoder": partial(self._both_ways, model.decoder, embedding),
            "loss": partial(self._both_ways, partial(self.module.loss, self.features), student),
            "optimiser": self.optimizer.step,
        }

    def _both_ways(self, part: Any, given: Any) -> None:
        with self.autocast():
            found = part(given)
        results = [found] if isinstance(found, Tensor) else found
        torch.autograd.backward(results, [torch.ones_like(result) for result in results])


def epoch_rows(subject: Subject) -> Iterator[Row]:
    """What a training does before its epochs, and its second epoch.

    In the first one memory is first touched and the optimiser's state made, which it pays once.
    """
    images, trainings = len(subject.train), []

    def train() -> None:
        moments: list[float] = []

        def look(*_: object) -> None:
            synchronise(subject.device)
            moments.append(time.perf_counter())

        hooks = ("on_train_start", "on_train_epoch_start", "on_train_epoch_end")
        fit(subject, LambdaCallback(**dict.fromkeys(hooks, look)), epochs=2)
        trainings.append(moments)

    plainly = partial(subject.plain.train_epoch, subject.train, subject.cfg.batch_size)
    row = subject.row("training", "epoch", train, plainly, images=images)
    features, _, _, epoch = np.diff(trainings[1:]).T.tolist()  # but for the untimed call
    yield Row("training", "features, once", images, Timing(features))
    yield replace(row, rdad=replace(row.rdad, seconds=epoch))


def fit(subject: Subject, first: Callback, *, epochs: int) -> None:
    """Epochs as a run trains them, without its folder and its tracking.

    Args:
        first: Is called before the encoder's features are computed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            accelerator=subject.device.type,
            devices=1,
            precision=subject.cfg.trainer.precision,
            max_epochs=epochs,
            callbacks=[first, CachedFeatures(subject.data)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(subject.module, datamodule=subject.data)
    subject.module.to(subject.device)

"""The encoder, a training step, and what a step consists of."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rdad.benchmark.clock import Task
from rdad.benchmark.rows import Row, Stopwatch
from rdad.benchmark.subject import Subject
from rdad.detector.device import computing_in, has_bf16
from rdad.model.precision import BF16, FLOAT32


def training_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    model, precision = subject.module.model, subject.precision
    images = subject.batch()["images"]
    normalised = model.encoder.normalise(images).contiguous()
    watch = Stopwatch("training", subject.device, rounds, precision)
    encode = partial(_encode, subject, images)
    yield watch.row("encoder", len(images), encode, partial(subject.plain.encoder, normalised))
    features = [feature.float() for feature in model.encode(images)]
    step = Step(subject, features, precision)
    plain = partial(subject.plain.train_step, normalised)
    yield watch.row("step", len(images), step, plain)
    for name, piece in step.pieces().items():
        yield watch.row(f"  {name}", len(images), piece)
    other = BF16 if precision == FLOAT32 else FLOAT32
    if other == BF16 and not has_bf16(subject.device):  # many times slower than float32
        return
    in_other = Step(subject, features, other)
    yield watch.row(f"step in {other}", len(images), in_other, precision=other)


def _encode(subject: Subject, images: Tensor) -> None:
    with subject.autocast():
        subject.module.model.encode(images)


class Step:
    """A training step of rdad on given features."""

    def __init__(self, subject: Subject, features: Sequence[Tensor], precision: str) -> None:
        self.module, self.features = subject.module, features
        self.autocast = computing_in(precision, subject.device)
        optimizer: Any = self.module.configure_optimizers()
        self.optimizer: torch.optim.Optimizer = optimizer

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

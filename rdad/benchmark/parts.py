"""The parts of a run, timed one by one: start-up, images, training, evaluation."""

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils.data import DataLoader

from rdad.benchmark.clock import Row, Task, Timing, seconds_of, synchronise
from rdad.benchmark.subject import Subject
from rdad.detector.device import computing_in, has_bf16
from rdad.detector.scoring import score
from rdad.model.precision import BF16, FLOAT32
from rdad.results.evaluation import evaluate, metrics_for
from rdad.results.writer import ArtifactWriter
from rdad.training.callbacks import CachedFeatures


def all_rows(subject: Subject) -> Iterator[Row]:
    for rows in (startup_rows, image_rows, training_rows, evaluation_rows):
        yield from rows(subject)


def startup_rows(subject: Subject) -> Iterator[Row]:
    """Each in a new process, with the interpreter's own start; the last one with warm caches."""
    settings = subject.folder / "settings.yaml"
    OmegaConf.save(subject.cfg, settings, resolve=True)
    for name, arguments in (
        ("import rdad", ("-c", "import rdad")),
        ("rdad.train --help", ("-m", "rdad.train", "--help")),
        ("until the first training step", ("-m", __name__, str(settings))),
    ):
        command = [sys.executable, *arguments]
        call = partial(subprocess.run, command, check=True, capture_output=True)
        seconds = [seconds_of(call, subject.device) for _ in range(subject.cfg.rounds)]
        yield Row("start-up", name, 0, Timing(seconds))


def train_one_step(settings: Path) -> None:
    """All that a training does up to its first step, with which the process ends."""
    cfg: Any = OmegaConf.load(settings)
    fit(Subject(cfg, settings.parent), epochs=1, on_train_batch_end=lambda *_: os._exit(0))


def image_rows(subject: Subject) -> Iterator[Row]:
    """Files to pixels: found, checked, decoded and kept for the first time, then read again."""
    plain_images = subject.plain.images([*subject.train, *subject.test])
    row = partial(subject.row, "images", images=len(plain_images))

    def for_the_first_time() -> None:
        with tempfile.TemporaryDirectory(dir=subject.folder) as folder:
            subject.data_in(Path(folder)).prepare()

    def from_the_cache() -> None:
        data = subject.data_in(subject.folder)
        data.prepare()
        list(chain(data.train_dataloader(), data.test_dataloader()))

    plainly = partial(list, DataLoader(plain_images))
    yield row("decode, first time", for_the_first_time, plainly)
    yield row("decode, from the cache", from_the_cache, plainly)


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
        fit(subject, epochs=2, **dict.fromkeys(hooks, look))
        trainings.append(moments)

    plainly = partial(subject.plain.train_epoch, subject.train, subject.cfg.batch_size)
    row = subject.row("training", "epoch", train, plainly, images=images)
    features, _, _, epoch = np.diff(trainings[1:]).T.tolist()  # but for the untimed call
    yield Row("training", "features, once", images, Timing(features))
    yield replace(row, rdad=replace(row.rdad, seconds=epoch))


def fit(subject: Subject, *, epochs: int, **hooks: Any) -> None:
    """Epochs as a run trains them, without its folder and its tracking.

    Args:
        hooks: By their names in Lightning; called before the encoder's features are computed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            accelerator=subject.device.type,
            devices=1,
            precision=subject.cfg.trainer.precision,
            max_epochs=epochs,
            callbacks=[LambdaCallback(**hooks), CachedFeatures(subject.data)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(subject.module, datamodule=subject.data)
    subject.module.to(subject.device)


def evaluation_rows(subject: Subject) -> Iterator[Row]:
    """Images to maps alone, the whole evaluation, and the same with all that it can leave."""
    plain, test = subject.plain, subject.test
    row = partial(subject.row, "evaluation", images=len(test))

    def mapped() -> None:
        batches = subject.data.test_dataloader()
        for scored in score(subject.module.model.folded(), batches, precision=subject.autocast):
            scored.maps.cpu()

    def mapped_plainly() -> None:
        for image, _, _ in DataLoader(plain.images(test)):
            plain.anomaly_map(image)

    def evaluated(writer: ArtifactWriter | None = None) -> None:
        model, metrics = subject.module.model, metrics_for(subject.data)
        evaluate(model, subject.data, metrics, writer, precision=subject.autocast)

    def with_artifacts() -> None:
        with (
            tempfile.TemporaryDirectory(dir=subject.folder) as folder,
            ArtifactWriter(Path(folder), category="x", overlays=None) as writer,
        ):
            evaluated(writer)

    yield row("maps", mapped, mapped_plainly)
    yield row("evaluation", evaluated, partial(plain.evaluate, test))
    yield row("with raw maps and pictures", with_artifacts)


if __name__ == "__main__":
    train_one_step(Path(sys.argv[1]))

"""The parts of a run around its training: start-up, images, evaluation."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import LambdaCallback
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from rdad.benchmark.clock import Row, Timing, seconds_of
from rdad.benchmark.subject import Subject
from rdad.benchmark.training import fit, training_rows
from rdad.detector.scoring import score
from rdad.results.evaluation import evaluate, metrics_for
from rdad.results.writer import ArtifactWriter


def all_rows(subject: Subject) -> Iterator[Row]:
    for rows in (startup_rows, image_rows, training_rows, evaluation_rows):
        yield from rows(subject)


def startup_rows(subject: Subject) -> Iterator[Row]:
    """Each in a new process, with the interpreter's own start; the last one with warm caches."""
    settings = subject.folder / "settings.yaml"
    OmegaConf.save(subject.cfg, settings, resolve=True)
    commands = {
        "import rdad": ("-c", "import rdad"),
        "rdad.train --help": ("-m", "rdad.train", "--help"),
        "until the first training step": ("-m", __name__, str(settings)),
    }
    for name, arguments in commands.items():
        command = [sys.executable, *arguments]
        call = partial(subprocess.run, command, check=True, capture_output=True)
        seconds = [seconds_of(call, subject.device) for _ in range(subject.cfg.rounds)]
        yield Row("start-up", name, 0, Timing(seconds))


def train_one_step(settings: Path) -> None:
    """All that a training does up to its first step, with which the process ends."""
    cfg: Any = OmegaConf.load(settings)
    subject = Subject(cfg, settings.parent)
    fit(subject, LambdaCallback(on_train_batch_end=lambda *_: os._exit(0)), epochs=1)


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

    def plainly() -> None:
        list(DataLoader(plain_images))

    yield row("decode, first time", for_the_first_time, plainly)
    yield row("decode, from the cache", from_the_cache, plainly)


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

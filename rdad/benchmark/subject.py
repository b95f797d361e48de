"""What is timed: a data set of limited size, rdad's network, and the plain program's copy of it."""

import logging
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from rdad.benchmark.plain.recipe import PlainRecipe
from rdad.config.build import build, prepare
from rdad.config.compose import ConfigError
from rdad.data.datamodule import AnomalyDataModule
from rdad.data.samples import Sample, Samples
from rdad.detector.device import chosen_device, computing_in
from rdad.model.geometry import LAYERS
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.precision import OF_LIGHTNING

LR, BETA1, BETA2 = 0.005, 0.5, 0.999  # the authors' main.py


class Subject:
    """Both programs on the same images, with the same weights.

    Args:
        train, test: The images.
        folder: For caches, which start empty.

    Attributes:
        module: rdad's.
        data: Prepared; its cache is `folder`.
        precision: `float32` or `bf16`, of rdad's network; the plain program stays in float32.
        autocast: The context for that.
    """

    def __init__(
        self,
        cfg: DictConfig,
        folder: Path,
        train: Sequence[Sample],
        test: Sequence[Sample],
        size: Sequence[int] | None = None,
    ) -> None:
        self.cfg, self.folder = cfg, folder
        self.train, self.test = tuple(train), tuple(test)
        self.size: list[int] = list(size or cfg.image_size)
        self.device = chosen_device(cfg.device)
        self.data = self.data_in(folder)
        self.data.prepare()
        self.module = self._module().to(self.device)
        self.precision = OF_LIGHTNING[cfg.trainer.precision]
        self.autocast = computing_in(self.precision, self.device)

    def data_in(self, cache: Path) -> AnomalyDataModule:
        """The images, unread, with a cache of their own."""
        return AnomalyDataModule(
            lambda: Samples(self.train, self.test),
            name="benchmark",
            category="benchmark",
            image_size=self.size,
            batch_size=self.cfg.batch_size,
            seed=self.cfg.seed,
            cache_dir=cache,
        )

    @cached_property
    def plain(self) -> PlainRecipe:
        """The plain program, with the weights that the network has when it is first asked for."""
        backbone = self.cfg.model.backbone
        return PlainRecipe(self.module.model, backbone, lr=LR, betas=(BETA1, BETA2))

    def batch(self) -> dict[str, Tensor]:
        """The first training images, as many as a batch holds, on the device."""
        first = next(iter(self.data.train_dataloader()))
        return {name: value.to(self.device) for name, value in first.items()}

    def _module(self) -> ReverseDistillation:
        torch.manual_seed(self.cfg.seed)
        model = self.cfg.model
        network = partial(ReverseDistillation, self.size, model.backbone, LAYERS, "add")
        try:
            return network(LR, BETA1, BETA2, weights=model.weights)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def found_images(cfg: DictConfig) -> Samples:
    """All images of the configured data set, checked and once decoded.

    Raises:
        ConfigError: the data set refuses a value.
        FileNotFoundError, DataError: images are missing or unusable.
    """
    logging.getLogger("rdad").setLevel(logging.WARNING)
    data: AnomalyDataModule = build(cfg.dataset)
    prepare(data)
    return Samples(data.train_samples, data.test_samples)


def spread(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """At most `limit` samples, evenly from the first to the last, so that every type is there."""
    return [samples[place] for place in spread_places(len(samples), limit)]


def spread_places(available: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` places from 0 to `available` - 1."""
    return np.linspace(0, available - 1, min(limit, available)).round().astype(np.int64)

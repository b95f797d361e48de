"""What is timed: a data set of limited size, rdad's network, and the plain program's copy of it."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from rdad.benchmark.clock import Row, Task, in_turn
from rdad.benchmark.plain_recipe import BETAS, LR, PlainRecipe
from rdad.config.build import build, prepared
from rdad.data.datamodule import AnomalyDataModule
from rdad.data.samples import Samples, spread
from rdad.detector.device import chosen_device, computing_in
from rdad.model.geometry import LAYERS
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.precision import OF_LIGHTNING


class Subject:
    """Both programs on the same images, with the same weights.

    Args:
        folder: For caches, which start empty.

    Attributes:
        data: Prepared; its cache is `folder`.
        precision: `float32` or `bf16`, of rdad's network; the plain program stays in float32.

    Raises:
        ValueError: a setting cannot be met.
        FileNotFoundError, rdad.data.DataError: images or weights are missing or unusable.
    """

    def __init__(self, cfg: DictConfig, folder: Path) -> None:
        self.cfg, self.folder, self.device = cfg, folder, chosen_device(cfg.device)
        self.precision = OF_LIGHTNING[cfg.trainer.precision]
        self.autocast = computing_in(self.precision, self.device)
        known = prepared(build(cfg.dataset))
        self.train = spread(known.train_samples, cfg.images)
        self.test = spread(known.test_samples, cfg.images)
        self.data = self.data_in(folder)
        self.data.prepare()
        torch.manual_seed(cfg.seed)
        given: list[Any] = [list(cfg.image_size), cfg.model.backbone, LAYERS, "add", LR, *BETAS]
        module = ReverseDistillation(*given, weights=cfg.model.weights)
        self.module = module.to(self.device)

    def data_in(self, cache: Path) -> AnomalyDataModule:
        """The images, unread, with a cache of their own."""
        return AnomalyDataModule(
            lambda: Samples(tuple(self.train), tuple(self.test)),
            name="benchmark",
            category="benchmark",
            image_size=list(self.cfg.image_size),
            batch_size=self.cfg.batch_size,
            seed=self.cfg.seed,
            cache_dir=cache,
        )

    @cached_property
    def plain(self) -> PlainRecipe:
        """The plain program, with the weights that the network has when it is first asked for."""
        return PlainRecipe(self.module.model, self.cfg.model.backbone)

    def row(self, group: str, name: str, *tasks: Task, images: int) -> Row:
        """rdad's task and, if given, the plain program's; each call works on `images` images."""
        timings = in_turn(*tasks, rounds=self.cfg.rounds, device=self.device)
        return Row(group, name, images, *timings)

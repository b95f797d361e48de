"""python -m rdad.benchmark.first_step SETTINGS: all that a training does up to its first step.

Caches are those in the settings' folder. The process ends with the step, so that its time is the
time from the command to the step.
"""

import os
import sys
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from rdad.benchmark.subject import Subject, found_images, spread
from rdad.benchmark.whole import fit
from rdad.training.callbacks import CachedFeatures


class _End(Callback):
    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        os._exit(0)


def train_one_step(settings: Path) -> None:
    cfg = OmegaConf.load(settings)
    assert isinstance(cfg, DictConfig)
    samples = found_images(cfg)
    train, test = (spread(part, cfg.images) for part in (samples.train, samples.test))
    subject = Subject(cfg, settings.parent, train, test)
    fit(subject, [CachedFeatures(subject.data), _End()])


if __name__ == "__main__":
    train_one_step(Path(sys.argv[1]))

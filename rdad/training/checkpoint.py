"""Checkpoints to go on from: written whole or not at all."""

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

CHECKPOINT_FILE = "checkpoint.ckpt"


class Checkpoint(Callback):
    """After every `every` epochs, all that a resumed training needs to end bit-identical.

    Args:
        every: Epochs from one to the next; 0 writes none.
    """

    def __init__(self, run_dir: Path, *, every: int) -> None:
        self.path, self.every = run_dir / CHECKPOINT_FILE, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done = trainer.current_epoch + 1
        if not self.every or done % self.every or done == trainer.max_epochs:
            return
        draft = self.path.with_suffix(".partial")
        trainer.save_checkpoint(draft)  # all processes take part, the first one writes
        if trainer.is_global_zero:
            draft.replace(self.path)

"""What stands around the steps of a training: features, compiling, history, metrics."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from rdad.config.mistakes import ConfigError
from rdad.data import AnomalyDataModule
from rdad.metrics.joint import RunMetrics
from rdad.model.lightning_model import ReverseDistillation
from rdad.results.evaluation import evaluate
from rdad.runs.files import CHECKPOINT_FILE, append_history, write_atomic
from rdad.training.feature_cache import cache_features
from rdad.training.progress import epochs_of

log = logging.getLogger(__name__)

WATCHED = "watch/"  # before the names of metrics of the test images while training
OF_VALIDATIONS = ("val/", WATCHED)

Report = Callable[[Mapping[str, float], int], None]


class StepLimit(Callback):
    """Ends a training after so many steps, in the middle of an epoch if need be.

    As Lightning's `max_steps`, which is set here once a training goes on: set before, Lightning
    takes the checkpoint of an epoch's end for one of its middle, and trains that epoch again.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.fit_loop.epoch_loop.max_steps = self.steps


class EpochReport(Callback):
    """After each epoch: a row in `history.csv`, a report, and a log line where there is no bar.

    Args:
        report: Gets the epoch's figures and its number, counted from 1.
    """

    def __init__(self, run_dir: Path, report: Report, *, log_lines: bool) -> None:
        self.run_dir, self.report, self.log_lines = run_dir, report, log_lines
        self._started = self._epoch_started = 0.0
        self._seconds_before = 0.0
        self._validated = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._epoch_started = time.perf_counter()
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._validated = True

    @property
    def train_seconds(self) -> float:
        """Since the fit began, with all that was prepared for it, over all attempts."""
        return self._seconds_before + time.perf_counter() - self._started

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.train_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seconds_before = state_dict["seconds"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        seconds = time.perf_counter() - self._epoch_started
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        figures = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._validated or not name.startswith(OF_VALIDATIONS)  # Lightning keeps old ones
        }
        row = {**figures, "train/epoch_seconds": seconds}
        append_history(self.run_dir, {"epoch": epoch, **row})
        self.report(row, epoch)
        if self.log_lines:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in sorted(figures.items()))
            log.info("epoch %d/%d: %s, %.1f s", epoch, epochs_of(trainer), losses, seconds)


class LearningRate(Callback):
    """The learning rate of each epoch's last step, as `train/lr`."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any, **__: Any
    ) -> None:
        pl_module.log("train/lr", trainer.optimizers[0].param_groups[0]["lr"])


class Checkpoint(Callback):
    """After every `every` epochs, all that a resumed training needs to end bit-identical.

    Args:
        every: Epochs from one to the next; 0 writes none.
    """

    def __init__(self, run_dir: Path, *, every: int) -> None:
        self.path, self.every = run_dir / CHECKPOINT_FILE, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done = trainer.current_epoch + 1
        if not self.every or done % self.every or done == epochs_of(trainer):
            return
        if trainer.is_global_zero:  # all processes take part, the first one writes
            write_atomic(self.path, trainer.save_checkpoint)
        else:
            trainer.save_checkpoint(self.path)


class CachedFeatures(Callback):
    """Lets the training read the teacher's features instead of computing them in each epoch.

    Args:
        kept_as: `float32`, which is exact, or `float16`, which takes half the room.
    """

    def __init__(self, datamodule: AnomalyDataModule, kept_as: str = "float32") -> None:
        self.datamodule = datamodule
        self.dtype = {"float32": torch.float32, "float16": torch.float16}[kept_as]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, ReverseDistillation)
        with trainer.precision_plugin.forward_context():  # which Lightning sets for steps alone
            pl_module.features = cache_features(
                pl_module.model.encode,
                self.datamodule.training_images(),
                count=self.datamodule.train_length,
                device=pl_module.device,
                folder=self.datamodule.cache_dir,
                dtype=self.dtype,
            )
        self.datamodule.train_with_pixels(pl_module.features is None)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, ReverseDistillation)
        pl_module.features = None
        self.datamodule.train_with_pixels(True)


@contextmanager
def compiled_steps(module: ReverseDistillation, mode: str | None) -> Iterator[None]:
    """Train with steps that torch.compile made in `mode`; with None, as they are.

    Raises:
        ConfigError: this machine cannot compile them.
    """
    if mode is None:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException

    module.compile_training(mode=mode)
    try:
        yield
    except TorchDynamoException as error:
        cause = getattr(error, "inner_exception", error)
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise ConfigError(
            f"compile={mode}: the training step could not be compiled, which takes a C++ compiler, "
            f"and Triton on a GPU: {reason} (compile=null trains without)"
        ) from error


class WatchedMetrics(Callback):
    """Metrics of the test images every few epochs, as `watch/...`: to see, never to choose by.

    Where batches hold tiles, the images are scored after them, blended.
    """

    def __init__(self, metrics: RunMetrics, datamodule: AnomalyDataModule) -> None:
        self.metrics, self.datamodule = metrics, datamodule

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.metrics.reset()

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.datamodule.tiling is not None:
            return
        assert isinstance(pl_module, ReverseDistillation)
        maps, valid = outputs["anomaly_maps"], batch.get("valid")
        self.metrics.update(
            scores=pl_module.model.anomaly_map.scores(maps, valid).cpu(),
            labels=batch["labels"].cpu(),
            maps=maps.cpu(),
            masks=batch["masks"].cpu() if self.datamodule.has_masks else None,
            defect_types=batch["defect_types"].cpu(),
            valid=None if valid is None else valid.cpu(),
            **self.datamodule.beside_test(batch["indices"]),
        )

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.datamodule.tiling is None:
            self.metrics.to(pl_module.device)  # where processes can gather it from each other
            values = self.metrics.compute()
        else:
            assert isinstance(pl_module, ReverseDistillation)
            precision = trainer.precision_plugin.forward_context
            values = evaluate(pl_module.model, self.datamodule, self.metrics, precision=precision)
        for name, value in values.items():
            pl_module.log(f"{WATCHED}{name}", value)

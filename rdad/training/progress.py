"""How far a training is: its epochs and steps counted, and the bar that shows them."""

import logging
import math
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm


def steps_an_epoch(trainer: L.Trainer) -> int:
    """Fewer than batches, where the gradients of several are one step's."""
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def epochs_of(trainer: L.Trainer) -> int:
    """How many there are to be, the last of them perhaps cut short by `max_steps`."""
    if trainer.max_steps == -1:
        return int(trainer.max_epochs or 0)
    return math.ceil(trainer.max_steps / steps_an_epoch(trainer))


class _AboveTheBar:
    """A stream whose lines are written where the bar is not; as it is for all else."""

    def __init__(self, stream: TextIO, bar: "tqdm[Any]") -> None:
        self._stream, self._bar, self._begun = stream, bar, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        whole, end, self._begun = (self._begun + text).rpartition("\n")
        if end:
            self._bar.clear()
            self._stream.write(whole + end)
            self._bar.refresh()
        return len(text)

    def end(self) -> None:
        """Write what no line's end came behind."""
        self._stream.write(self._begun)
        self._begun = ""


class ProgressBar(Callback):
    """One bar over the whole training, with its loss and remaining time, which then goes.

    Log lines, warnings and whatever else is written meanwhile go above it.
    """

    def __init__(self) -> None:
        self._bar = tqdm(disable=True)
        self._above = ExitStack()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar = tqdm(
            total=int(trainer.estimated_stepping_batches),
            initial=trainer.global_step,
            desc="train",
            unit="step",
            dynamic_ncols=True,
            leave=False,
            disable=not trainer.is_global_zero,
        )
        above: dict[TextIO, TextIO] = {}
        for stream in (sys.stdout, sys.stderr):
            written = _AboveTheBar(stream, self._bar)
            self._above.callback(written.end)  # the last of all, once the bar is gone
            above[stream] = cast("TextIO", written)
        self._above.callback(self._bar.close)
        self._above.enter_context(redirect_stdout(above[sys.stdout]))
        self._above.enter_context(redirect_stderr(above[sys.stderr]))
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in above:
                self._above.callback(handler.setStream, handler.stream)
                handler.setStream(above[handler.stream])

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        self._bar.set_postfix_str(
            f"epoch {trainer.current_epoch + 1}/{epochs_of(trainer)}, loss {loss:.4f}"
        )

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._above.close()

    def on_exception(self, *_: Any, **__: Any) -> None:
        self.on_train_end()

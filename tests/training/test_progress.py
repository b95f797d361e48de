"""How far a training is: epochs counted, and what stands above its bar."""

import logging
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rdad.training.progress import ProgressBar, epochs_of


def test_what_is_written_during_a_training_stands_above_its_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trainer: Any = SimpleNamespace(estimated_stepping_batches=3, global_step=0, is_global_zero=True)
    module: Any = None
    before, handler, bar = sys.stderr, logging.StreamHandler(sys.stderr), ProgressBar()
    logging.getLogger().addHandler(handler)
    try:
        bar.on_train_start(trainer, module)
        logging.getLogger("one").warning("logged")
        print("printed in", "two", file=sys.stderr)
        bar.on_train_batch_end(trainer)
        print("and last", file=sys.stderr, end="")
    finally:
        bar.on_train_end()
        logging.getLogger().removeHandler(handler)
    assert sys.stderr is handler.stream is before
    shown = capsys.readouterr().err
    for line in ("logged", "printed in two"):  # where the bar was wiped away, and is drawn again
        assert re.search(rf"\r +\r{line}\n\rtrain: ", shown)
    assert re.search(r" \rand last$", shown)


@pytest.mark.parametrize(("batches_a_step", "epochs"), [(1, 2), (2, 4), (3, 5)])
def test_epochs_are_counted_by_the_steps_that_each_has(batches_a_step: int, epochs: int) -> None:
    """Of 5 batches an epoch, the last of which make a step whatever their number."""
    given = {"num_training_batches": 5, "accumulate_grad_batches": batches_a_step}
    trainer: Any = SimpleNamespace(**given, max_steps=10)
    assert epochs_of(trainer) == epochs

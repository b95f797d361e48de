"""How long the commands take until they do something."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import torch

from rdad.benchmark.clock import Timing, interleaved_long
from rdad.benchmark.rows import Row

COMMANDS = {
    "import rdad": ("-c", "import rdad"),
    "rdad.train --help": ("-m", "rdad.train", "--help"),
    "a configuration error": ("-m", "rdad.train", "mode=none-such"),
    "imports of a training": ("-c", "import rdad.benchmark.whole"),
}


def startup_rows(rounds: int) -> Iterator[Row]:
    """Each in a new process, with the interpreter's own start."""
    tasks = {name: partial(_call, arguments) for name, arguments in COMMANDS.items()}
    timings = interleaved_long(tasks, rounds=rounds, device=torch.device("cpu"))
    for name, timing in timings.items():
        yield Row("start-up", name, 0, Timing(timing.seconds))


def _call(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)

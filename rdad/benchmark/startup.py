"""How long the commands take until they do something."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from omegaconf import OmegaConf

from rdad.benchmark.clock import Timing, interleaved_long
from rdad.benchmark.rows import Row
from rdad.benchmark.subject import Subject

CONFIG_ERROR = "a configuration error"
COMMANDS = {
    "import rdad": ("-c", "import rdad"),
    "rdad.train --help": ("-m", "rdad.train", "--help"),
    CONFIG_ERROR: ("-m", "rdad.train", "mode=none-such"),
}


def startup_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    """Each in a new process, with the interpreter's own start; the last one with warm caches."""
    settings = subject.folder / "settings.yaml"
    OmegaConf.save(subject.cfg, settings, resolve=True)
    first_step = ("-m", "rdad.benchmark.first_step", str(settings))
    commands = COMMANDS | {"until the first training step": first_step}
    tasks = {name: partial(_call, name, arguments) for name, arguments in commands.items()}
    timings = interleaved_long(tasks, rounds=rounds, device=torch.device("cpu"))
    for name, timing in timings.items():
        yield Row("start-up", name, 0, Timing(timing.seconds))


def _call(name: str, arguments: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if bool(done.returncode) != (name == CONFIG_ERROR):
        raise RuntimeError(f"{name}: ended with {done.returncode}: {done.stderr[-2000:]}")

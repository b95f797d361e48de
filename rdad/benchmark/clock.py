"""Timing of programs in turn, and what a call needs of memory and arithmetic."""

import contextlib
import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

Task = Callable[[], object]

_SAMPLE_EVERY_S = 0.01


@dataclass(frozen=True)
class Timing:
    """Calls of one task.

    Attributes:
        seconds: Of each timed call.
        peak_bytes: Memory at the worst moment of a call, above what there was before.
        gflop: Floating point operations of one call / 1e9, a multiply-add counted as two.
    """

    seconds: tuple[float, ...]
    peak_bytes: int | None = None
    gflop: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def interleaved(
    tasks: Mapping[str, Task], *, rounds: int, device: torch.device
) -> dict[str, Timing]:
    """Each task called once untimed, to see what it needs, then `rounds` times in turn: A B A B ….

    In turn, because a machine's speed drifts: both programs then meet the same weather.
    """
    seen = {name: _needs(task, device) for name, task in tasks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            seconds[name].append(seconds_of(task, device))
    return {name: Timing(tuple(seconds[name]), *seen[name]) for name in tasks}


def interleaved_long(
    tasks: Mapping[str, Task], *, rounds: int, device: torch.device
) -> dict[str, Timing]:
    """As `interleaved` for calls of seconds: none is untimed, and operations are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    peaks: dict[str, list[int]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            with peak_memory(device) as peak:
                seconds[name].append(seconds_of(task, device))
            peaks[name] += peak
    return {name: Timing(tuple(seconds[name]), max(peaks[name])) for name in tasks}


def seconds_of(task: Task, device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    task()
    synchronise(device)
    return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    """Wait for a GPU's queue; nothing to do for a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _needs(task: Task, device: torch.device) -> tuple[int, float | None]:
    """Bytes at the worst moment, and 1e9 operations if there are any."""
    from torch.utils.flop_counter import FlopCounterMode

    with peak_memory(device) as peak, FlopCounterMode(display=False) as counter:
        task()
    return peak[0], counter.get_total_flops() / 1e9 or None


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[list[int]]:
    """A list whose only item is, afterwards, the bytes needed above those in use before.

    On a GPU the allocator's own count, on the CPU the process's resident memory, looked at every
    10 ms.
    """
    found = [0]
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found[0] = torch.cuda.max_memory_allocated(device) - before
        return
    _return_freed_memory()
    before, done = _resident(), threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_EVERY_S):
            found[0] = max(found[0], _resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def _return_freed_memory() -> None:
    """Have the C library give back what it keeps for later, so that reuse is counted."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)

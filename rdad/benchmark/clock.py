"""Timing of programs in turn, and what a call needs of memory and arithmetic."""

import contextlib
import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

Task = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Calls of one task: seconds of each, and what one call needs.

    Attributes:
        peak_bytes: Memory at the worst moment, above what there was before.
        gflop: Floating point operations / 1e9, a multiply-add counted as two.
    """

    seconds: Sequence[float]
    peak_bytes: int = 0
    gflop: float = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Row:
    """A part of the work, timed in rdad and, where it has such a part, in the plain program.

    Attributes:
        images: How many images one call works on; 0 for what is done once a run.
    """

    group: str
    name: str
    images: int
    rdad: Timing
    plain: Timing | None = None

    @property
    def ratio(self) -> float | None:
        """How many times quicker rdad is."""
        return None if self.plain is None else self.plain.median / self.rdad.median


def in_turn(*tasks: Task, rounds: int, device: torch.device) -> list[Timing]:
    """Each task called once untimed, to see what it needs, then `rounds` times in turn: A B A B ….

    In turn, because a machine's speed drifts: both programs then meet the same weather.
    """
    needs: list[tuple[int, float]] = []
    for task in tasks:
        with FlopCounterMode(display=False) as counter:
            peak = peak_bytes(task, device)
        needs.append((peak, counter.get_total_flops() / 1e9))
    seconds = [[seconds_of(task, device) for task in tasks] for _ in range(rounds)]
    return [Timing(one, *need) for one, need in zip(zip(*seconds, strict=True), needs, strict=True)]


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


def peak_bytes(task: Task, device: torch.device) -> int:
    """Memory that a call needs at its worst moment, above what is in use before it.

    On a GPU the allocator's own count, on the CPU the process's resident memory, looked at every
    10 ms.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        task()
        return torch.cuda.max_memory_allocated(device) - before
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)  # what is kept for later, so that its reuse is counted
    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(process.memory_info().rss)

    with ThreadPoolExecutor(1) as watcher:
        watcher.submit(watch)
        try:
            task()
        finally:
            done.set()
    return max(seen) - seen[0]

"""What others leave of this machine, and what a container or a cluster's job may take of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

SECONDS = 0.5  # in which the work of others is counted


def use_threads(wanted: int | None) -> None:
    """Let torch compute with so many threads on the CPU; 0 is as many as there are free cores.

    None leaves them as they are: OMP_NUM_THREADS, or a launcher's share, or all cores. More than
    that are not taken by 0.
    """
    import torch

    if wanted is None:
        return
    known = torch.get_num_threads()
    free = min(free_cores(), known)
    torch.set_num_threads(wanted or free)
    if not wanted:
        log.info("threads=0: computing with %d of %d, as others leave cores free", free, known)


def free_cores(root: Path = Path("/")) -> int:
    """Cores that the process may use and that others leave idle just now; at least 1.

    Args:
        root: Where proc/ and sys/ are.
    """
    import psutil

    every = psutil.cpu_count() or 1
    idle = every * (1 - psutil.cpu_percent(interval=SECONDS) / 100)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    free = min(round(idle), allowed)
    for group in control_groups(root, "cpu"):
        with suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or the word max
            free = min(free, _quota(group))
    return max(free, 1)


def free_memory(root: Path = Path("/")) -> int:
    """Bytes: what the machine has left, or less where a container or a cluster's job has a limit.

    Args:
        root: Where proc/ and sys/ are.
    """
    import psutil

    free = psutil.virtual_memory().available
    for group in control_groups(root, "memory"):
        with suppress(OSError, ValueError):  # no limit here: no such file, or the word max
            free = min(free, _left(group))
    return max(free, 0)


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """The process's own group and those above it, of both versions; none on other systems.

    Args:
        controller: `cpu` or `memory`; version 2 has one tree for all of them.
    """
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or controller in controllers.split(","):
                mounted = root / "sys/fs/cgroup" / controllers
                own = mounted / path.lstrip("/")
                yield from (own, *(one for one in own.parents if one.is_relative_to(mounted)))


def _quota(group: Path) -> int:
    """Cores, rounded down; -1 microseconds are no limit in version 1."""
    if (group / "cpu.max").is_file():
        microseconds, period = (group / "cpu.max").read_text().split()
    else:
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        microseconds, period = ((group / name).read_text() for name in files)
    if int(microseconds) < 0:
        raise ValueError("no limit")
    return int(microseconds) // int(period)


def _left(group: Path) -> int:
    """Files that were read count as used, and are given up when memory is short."""
    second = (group / "memory.max").is_file()
    limit, used = ("max", "current") if second else ("limit_in_bytes", "usage_in_bytes")
    figures = [int((group / f"memory.{name}").read_text()) for name in (limit, used)]
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    given_up = int(stat.get("inactive_file" if second else "total_inactive_file", 0))
    return figures[0] - figures[1] + given_up

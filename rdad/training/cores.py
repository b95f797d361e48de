"""How many threads a training computes with, on a machine that others use too."""

import logging
import os
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
        root: Where sys/ and proc/ are.
    """
    import psutil

    every = psutil.cpu_count() or 1
    idle = every * (1 - psutil.cpu_percent(interval=SECONDS) / 100)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    return max(1, min(round(idle), allowed, _quota(root, every)))


def _quota(root: Path, every: int) -> int:
    """What a container or a cluster's job may take; all cores where nothing is said.

    A control group (cgroup v2) may take no more than any that it is in.
    """
    top, quota = root / "sys/fs/cgroup", every
    own = top / _control_group(root / "proc/self/cgroup")
    for group in (own, *own.parents):
        with suppress(OSError, ValueError):  # no such file, or the word max
            microseconds, period = (group / "cpu.max").read_text().split()
            quota = min(quota, max(1, int(microseconds) // int(period)))
        if group == top:
            break
    return quota


def _control_group(listing: Path) -> str:
    """The process's own, below the top one; the top one itself where it is not known."""
    with suppress(OSError):
        for line in listing.read_text().splitlines():
            if line.startswith("0::/") and ".." not in line:  # .. is outside a container's view
                return line.removeprefix("0::/")
    return ""

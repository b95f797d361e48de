"""How much memory this process may still take."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def free_memory(root: Path = Path("/")) -> int:
    """Bytes: what the machine has left, or less where a container or a cluster's job has a limit.

    Args:
        root: Where proc/ and sys/ are.
    """
    import psutil

    free = psutil.virtual_memory().available
    for group in _control_groups(root):
        with suppress(OSError, ValueError):  # no limit here: no such file, or the word max
            free = min(free, _left(group))
    return max(free, 0)


def _control_groups(root: Path) -> Iterator[Path]:
    """The process's own group and those above it, of both versions; none on other systems."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                mounted = root / "sys/fs/cgroup" / controllers
                own = mounted / path.lstrip("/")
                yield from (own, *(one for one in own.parents if one.is_relative_to(mounted)))


def _left(group: Path) -> int:
    """Files that were read count as used, and are given up when memory is short."""
    second = (group / "memory.max").is_file()
    limit, used = ("max", "current") if second else ("limit_in_bytes", "usage_in_bytes")
    figures = [int((group / f"memory.{name}").read_text()) for name in (limit, used)]
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    given_up = int(stat.get("inactive_file" if second else "total_inactive_file", 0))
    return figures[0] - figures[1] + given_up

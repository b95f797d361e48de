"""Arrays on disk under a key: written whole or not at all, checked before use, bounded in size.

An entry is one file: the SHA-256 of all that follows, then arrays in NumPy's format, one after
the other. Any number of processes may use a folder at once.
"""

import contextlib
import functools
import hashlib
import io
import logging
import os
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock
from numpy.lib import format as npy
from numpy.typing import NDArray

from rdad.runs.names import expanded

log = logging.getLogger(__name__)

ENTRY_SUFFIX = ".arrays"
PARTIAL_SUFFIX = ".partial"
LIMIT_BYTES = 10 * 1024**3
ABANDONED_AFTER_S = 24 * 3600
DIGEST_BYTES = hashlib.sha256().digest_size


def default_cache_dir() -> Path:
    """The folder that RDAD_CACHE_DIR names, or ~/.cache/rdad; without a home a temporary one."""
    if named := os.environ.get("RDAD_CACHE_DIR"):
        return expanded(named)
    try:
        return expanded("~/.cache/rdad")
    except FileNotFoundError:
        return Path(_own_folder().name)


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Removed at the process's end."""
    log.warning("no home folder is known: the cache goes with this process (RDAD_CACHE_DIR)")
    return tempfile.TemporaryDirectory(prefix="rdad-cache-")


@contextlib.contextmanager
def lock(file: Path) -> Iterator[None]:
    """Hold others back who want to make the same.

    Where a disk has no locks, two may do the same work, and each writes whole files.
    """
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file))
        except (OSError, NotImplementedError) as error:
            log.info("%s cannot be locked (%s): another process may do the same", file, error)
        yield


class ArrayStore:
    """A folder of entries, at most `limit_bytes` in all: the longest unused go first."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    def path(self, key: str) -> Path:
        return self.folder / f"{key}{ENTRY_SUFFIX}"

    def load(self, key: str) -> list[NDArray[Any]] | None:
        """The arrays under `key`, memory-mapped read-only; None if absent or damaged."""
        path = self.path(key)
        try:
            with path.open("rb") as file:
                if file.read(DIGEST_BYTES) != hashlib.file_digest(file, "sha256").digest():
                    log.warning("cache entry %s is damaged and is made anew", path)
                    return None
                arrays = _map_arrays(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("cache entry %s cannot be read and is made anew (%s)", path, error)
            return None
        with contextlib.suppress(OSError):  # a read-only cache serves as well
            os.utime(path)
        return arrays

    def save(self, key: str, arrays: Iterable[NDArray[Any]]) -> list[NDArray[Any]]:
        """Write an entry, then remove the longest unused beyond the limit.

        The arrays are taken one by one, so memory need not hold them all.

        Returns:
            As `load`. Those of an entry that is over the limit by itself are mapped as well, but
            go with this process.

        Raises:
            OSError: the folder cannot be written, or the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
        try:
            with partial.open("x+b") as file:
                _write(file, arrays)
                mapped, size = _map_arrays(file), file.tell()
            if size > self.limit_bytes:
                log.warning(
                    "decoded images stay with this process: %s bytes are over the cache's limit "
                    "of %s",
                    *(f"{size:,}", f"{self.limit_bytes:,}"),
                )
                return mapped
            partial.replace(self.path(key))
        finally:
            partial.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process removes them too
            self._remove_beyond_limit(keep=self.path(key))
        return mapped

    def _remove_beyond_limit(self, *, keep: Path) -> None:
        total = 0
        entries = self.folder.glob(f"*{ENTRY_SUFFIX}")
        for path in sorted(entries, key=lambda path: -path.stat().st_mtime):
            total += path.stat().st_size
            if total > self.limit_bytes and path != keep:
                log.info("cache is over %s bytes: %s removed", f"{self.limit_bytes:,}", path)
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
        for path in self.folder.glob(f"*{PARTIAL_SUFFIX}"):
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                path.unlink(missing_ok=True)


def _write(file: io.BufferedRandom, arrays: Iterable[NDArray[Any]]) -> None:
    file.write(bytes(DIGEST_BYTES))
    for array in arrays:
        npy.write_array(file, array, allow_pickle=False)
    file.flush()
    file.seek(DIGEST_BYTES)
    digest = hashlib.file_digest(file, "sha256").digest()
    file.seek(0)
    file.write(digest)
    file.flush()


def _map_arrays(file: IO[bytes]) -> list[NDArray[Any]]:
    """The arrays of a whole entry, as parts of one mapping; leaves `file` at its end."""
    arrays = []
    content = np.memmap(file, np.uint8, mode="r")
    file.seek(DIGEST_BYTES)
    while file.tell() < content.size:
        npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file)
        start = file.tell()
        file.seek(start + int(np.prod(shape)) * dtype.itemsize)
        arrays.append(content[start : file.tell()].view(dtype).reshape(shape))
    return arrays

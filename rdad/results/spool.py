"""Maps put aside on disk while a test goes on, so that memory does not grow with it."""

import math
import os
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Spool:
    """A temporary file of float32 arrays of any shape, read back by their numbers.

    Several threads may use it at once. The file has no name: it is gone with the process, however
    that ends.

    Args:
        folder: Where the file lies; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places: list[tuple[int, tuple[int, ...]]] = []
        self._lock = Lock()

    def append(self, array: "NDArray[np.float32]") -> None:
        """Put an array at the end.

        Raises:
            OSError: the disk is full; the arrays before it can still be read.
        """
        rest = np.ascontiguousarray(array).data.cast("B")
        with self._lock:
            start = self._file.seek(0, os.SEEK_END)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._places.append((start, array.shape))

    def __getitem__(self, number: int) -> "NDArray[np.float32]":
        start, shape = self._places[number]
        with self._lock:
            self._file.seek(start)
            content = self._file.read(4 * math.prod(shape))
        return np.frombuffer(content, np.float32).reshape(shape)

    def close(self) -> None:
        self._file.close()

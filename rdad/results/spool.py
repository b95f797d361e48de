"""Arrays put aside on disk while a test goes on, so that memory does not grow with it."""

import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Spool:
    """A temporary file of arrays of any shape, read back by their numbers.

    Several threads may use it at once. The file has no name: it is gone with the process, however
    that ends.

    Args:
        folder: Where the file lies; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []
        self._end = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._places)

    def append(self, array: "NDArray[Any]") -> int:
        """Put an array at the end; gives its number.

        Raises:
            OSError: the disk is full; the arrays before it can still be read.
        """
        rest = np.ascontiguousarray(array).data.cast("B")
        with self._lock:
            place = (self._end, array.shape, array.dtype)
            self._file.seek(self._end)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._end += array.nbytes
            self._places.append(place)
            return len(self._places) - 1

    def __getitem__(self, number: int) -> "NDArray[Any]":
        start, shape, dtype = self._places[number]
        with self._lock:
            self._file.seek(start)
            content = self._file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(shape)

    def close(self) -> None:
        self._file.close()

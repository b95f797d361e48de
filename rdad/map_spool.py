"""Anomaly maps put aside on disk while a test goes on, so that memory does not grow with it."""

import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MapSpool:
    """A temporary file of float32 maps of any shapes, read back by their numbers.

    The file has no name: it is gone with the process, however that ends.

    Args:
        folder: Where the file lies; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places: list[tuple[int, tuple[int, int]]] = []
        self._end = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._places)

    def append(self, anomaly_map: "NDArray[np.float32]") -> None:
        """Put a map (H, W) at the end.

        Raises:
            OSError: the disk is full; the maps before it can still be read.
        """
        height, width = anomaly_map.shape
        with self._lock:
            self._file.seek(self._end)
            rest = np.ascontiguousarray(anomaly_map).data.cast("B")
            while rest:
                rest = rest[self._file.write(rest) :]
            self._places.append((self._end, (height, width)))
            self._end += anomaly_map.nbytes

    def __getitem__(self, number: int) -> "NDArray[np.float32]":
        place, shape = self._places[number]
        with self._lock:
            self._file.seek(place)
            content = self._file.read(4 * shape[0] * shape[1])
        return np.frombuffer(content, dtype=np.float32).reshape(shape)

    def shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each map."""
        return [shape for _, shape in self._places]

    def close(self) -> None:
        self._file.close()

"""Anomaly maps put aside on disk while a test goes on, so that memory does not grow with it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdad.results.spool import Spool

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MapSpool:
    """A temporary file of float32 maps of any shapes, read back by their numbers.

    Args:
        folder: Where the file lies; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self._shapes: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._shapes)

    def append(self, anomaly_map: "NDArray[np.float32]") -> None:
        """Put a map (H, W) at the end.

        Raises:
            OSError: the disk is full; the maps before it can still be read.
        """
        height, width = anomaly_map.shape
        self._spool.append(np.ascontiguousarray(anomaly_map).data)
        self._shapes.append((height, width))

    def __getitem__(self, number: int) -> "NDArray[np.float32]":
        return np.frombuffer(self._spool[number], dtype=np.float32).reshape(self._shapes[number])

    def shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each map."""
        return list(self._shapes)

    def close(self) -> None:
        self._spool.close()

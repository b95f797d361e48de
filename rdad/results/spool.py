"""Bytes put aside on disk while a test goes on, so that memory does not grow with it."""

import tempfile
from pathlib import Path
from threading import Lock


class Spool:
    """A temporary file of pieces, read back by their numbers; several threads may use it at once.

    The file has no name: it is gone with the process, however that ends.

    Args:
        folder: Where the file lies; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places: list[tuple[int, int]] = []
        self._end = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._places)

    def append(self, content: bytes | memoryview) -> int:
        """Put a piece at the end; gives its number.

        Raises:
            OSError: the disk is full; the pieces before it can still be read.
        """
        rest = memoryview(content).cast("B")
        with self._lock:
            place = (self._end, len(rest))
            self._file.seek(self._end)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._places.append(place)
            self._end += place[1]
            return len(self._places) - 1

    def __getitem__(self, number: int) -> bytes:
        place, size = self._places[number]
        with self._lock:
            self._file.seek(place)
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()

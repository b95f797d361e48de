"""How much may wait for its turn at once: so many items, and so many pixels of them together."""

from threading import Condition


class WaitingRoom:
    """Whoever enters waits until there is room; what is larger than all room enters alone."""

    def __init__(self, *, items: int, pixels: int) -> None:
        self._most_items, self._most_pixels = items, pixels
        self._items = self._pixels = 0
        self._changed = Condition()

    def enter(self, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._fits(pixels))
            self._items += 1
            self._pixels += pixels

    def leave(self, pixels: int) -> None:
        with self._changed:
            self._items -= 1
            self._pixels -= pixels
            self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        if not self._items:
            return True
        return self._items < self._most_items and self._pixels + pixels <= self._most_pixels

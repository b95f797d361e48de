"""Work on images in threads, whose results come in the order of the images."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rdad.data.limit import most_pixels

THREADS = min(os.cpu_count() or 1, 16)
AHEAD = 16  # images of any size, decoded and not yet taken

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int = THREADS,
    ahead: int = AHEAD,
    pixels: Callable[[Item], int] | None = None,
) -> Generator[Result, None, None]:
    """The function's result for each item.

    Items are taken, in the caller's thread, until `ahead` of them are begun and not yet given
    back; so memory does not grow with their number. What the function raises is raised in the
    item's turn. Where the caller stops early, what has not begun is left undone.

    Args:
        pixels: How many an item has. Then an item also waits while it and those that are begun
            have more than `most_pixels()` together, but for one alone.
    """
    begun: deque[tuple[Future[Result], int]] = deque()
    limit = most_pixels()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                more = pixels(item) if pixels else 0
                while begun and more + sum(held for _, held in begun) > limit:
                    yield begun.popleft()[0].result()
                begun.append((pool.submit(function, item), more))
                if len(begun) >= ahead:
                    yield begun.popleft()[0].result()
            while begun:
                yield begun.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)

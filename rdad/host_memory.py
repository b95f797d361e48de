"""Memory of the processor that stays with the process from one step to the next."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Of mallopt in glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

_KEPT = {_MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: 2**31 - 1}
_USUAL = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}  # to what glibc comes with large blocks


@contextmanager
def kept_host_memory() -> Iterator[None]:
    """Within, the C library keeps freed memory for what is asked for next; after it, as usual.

    Otherwise each training step hands its large tensors back to the system and has them cleared,
    page by page, when it asks for them again: 2 to 6 % of a step on a CPU, and up to a fifth of an
    evaluation. The process holds at all times what it needs at its worst moment. Does nothing
    without glibc.

    Source: mallopt(3).
    """
    _set(_KEPT)
    try:
        yield
    finally:
        _set(_USUAL)


def return_freed_memory() -> None:
    """Have the C library hand all that is free back to the system."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set(options: dict[int, int]) -> None:
    with suppress(OSError, AttributeError, TypeError):  # no glibc
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)

"""16-bit grey that uses fewer bits: cameras store their 10, 12 or 14 in such files."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeGuard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Bits = int | Literal["auto"]

FULL = 16
USUAL = (8, 10, 12, 14, FULL)


def is_bits(found: object) -> TypeGuard[int]:
    """Whether it is a number of bits that a 16-bit file may use: 8 to 16."""
    return isinstance(found, int) and found in range(8, FULL + 1)


def checked_bits(found: object) -> int:
    """Raises ValueError for what is no such number."""
    if not is_bits(found):
        raise ValueError(f"bits must be a number from 8 to {FULL}; found {found!r}")
    return found


def upper_byte(values: "NDArray[np.integer]", bits: int = FULL) -> "NDArray[np.uint8]":
    """The upper 8 of so many bits, lowest first, in each value.

    Raises:
        ValueError: a value needs more bits.
    """
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest >= 1 << bits:
        said = "" if bits == FULL else ", as dataset.bits says or was found in training,"
        raise ValueError(f"pixels from {lowest} to {highest}, more than {bits} bits{said} hold")
    return (values >> (bits - 8)).astype("uint8")


def bits_used(brightest: Iterable[int]) -> int:
    """The fewest of the usual numbers of bits that hold all these; FULL where none is above 0."""
    highest = max(brightest, default=0)
    return next(bits for bits in USUAL if highest < 1 << bits) if highest else FULL

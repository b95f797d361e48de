"""Where an image lies on the network's pixels, and at which of these is looked."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdad.data.images import resize_image, resize_mask
from rdad.data.tiling import Size

PADDING = (124, 116, 104)  # ImageNet's mean colour, which networks take for nothing
SHARES = 10_000  # the parts of a side in which a rectangle's shares are counted


@dataclass(frozen=True)
class Framing:
    """How images of any size come to the network's size, and which pixels there are valid.

    An image lies on all of the network's pixels or, letterboxed, in their middle, where it keeps
    its aspect ratio; what is padded is ignored. So is what lies outside of a rectangle or a mask. A
    network's pixel is in a rectangle if its centre is, and in a mask if more than half of it is.

    Attributes:
        rectangle: (top, left, bottom, right) of what is looked at: in pixels of each image, or,
            where none is above 1, in shares of its sides.
        mask: One for all images, at the network's size: its bits, row by row, 1 being looked at.
        mask_size: (height, width) of its file, which all images must have.
        each: Whether every image has a mask of its own, to be given with it.
    """

    letterbox: bool = False
    rectangle: tuple[float, ...] | None = None
    mask: bytes | None = None
    mask_size: Size | None = None
    each: bool = False

    @classmethod
    def of_mask(cls, mask: Image.Image, size: Size, *, letterbox: bool) -> Self:
        """With one mask for all images: grey, looked at above 127.

        Args:
            size: (height, width) of the network.

        Raises:
            ValueError: no pixel is looked at.
        """
        looked_at = _checked(cls(letterbox).fit_mask(mask, size))
        packed = np.packbits(looked_at).tobytes()
        return cls(letterbox, mask=packed, mask_size=(mask.height, mask.width))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave. Raises ValueError if it is something else."""
        try:
            told: dict[str, Any] = {one.name: plain[one.name] for one in fields(cls)}
        except (KeyError, TypeError) as error:
            raise ValueError(f"framing is damaged: {plain!r}") from error
        for key, value in told.items():
            told[key] = tuple(value) if isinstance(value, list) else value
        return cls(**told)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers, bytes and lists of them."""
        told = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in told.items()}

    def content(self, image_size: Size, size: Size) -> tuple[slice, slice]:
        """The rows and columns of the network's pixels on which an image lies."""
        if not self.letterbox:
            return slice(0, size[0]), slice(0, size[1])
        sides = content_sides(image_size, size)
        top, left = ((whole - side) // 2 for whole, side in zip(size, sides, strict=True))
        return slice(top, top + sides[0]), slice(left, left + sides[1])

    def fit_image(self, image: Image.Image, size: Size) -> NDArray[np.uint8]:
        """uint8 (*size, 3), resized by the filter of all images, and padded where need be."""
        place = self.content((image.height, image.width), size)
        resized = resize_image(image, _extent(place))
        if resized.shape[:2] == size:
            return resized
        padded = np.full((*size, 3), PADDING, np.uint8)
        padded[place] = resized
        return padded

    def fit_mask(self, mask: Image.Image, size: Size) -> NDArray[np.bool_]:
        """bool `size`, as `resize_mask`; False where it is padded."""
        place = self.content((mask.height, mask.width), size)
        fitted = np.zeros(size, np.bool_)
        fitted[place] = resize_mask(mask, _extent(place))
        return fitted

    def valid(
        self, image_size: Size, size: Size, own: Image.Image | None = None
    ) -> NDArray[np.bool_] | None:
        """Which of the network's pixels, bool `size`, are looked at; None where all are.

        Args:
            own: The image's own mask, in grey, where each has one.

        Raises:
            ValueError: the image has another size than the mask, does not hold the rectangle, or
                lacks its own mask; or no pixel would be looked at.
        """
        if self == WHOLE:
            return None
        place = self.content(image_size, size)
        valid = np.zeros(size, np.bool_)
        valid[place] = True
        if self.rectangle is not None:
            valid[place] = self._in_rectangle(self.rectangle, image_size, _extent(place))
        if self.mask is not None and self.mask_size is not None:
            _check_size(image_size, self.mask_size)
            valid &= self.drawn(size)
        if self.each:
            valid &= self.fit_mask(_checked_mask(own, image_size), size)
        return _checked(valid)

    def drawn(self, size: Size) -> NDArray[np.bool_]:
        """The `mask` of all images, at the network's size, for which it was made."""
        bits = np.unpackbits(np.frombuffer(self.mask or b"", np.uint8), count=math.prod(size))
        return bits.reshape(size) > 0

    @staticmethod
    def _in_rectangle(
        rectangle: tuple[float, ...], image_size: Size, extent: Size
    ) -> NDArray[np.bool_]:
        edges, units = edges_of(rectangle, image_size)
        if edges[2] > units[0] or edges[3] > units[1]:
            raise ValueError(
                f"its {image_size[0]} x {image_size[1]} pixels do not hold the rectangle "
                f"{list(edges)} (top, left, bottom, right) that is looked at"
            )
        rows, columns = (
            between(np.arange(extent[axis]), extent[axis], units[axis], edges[axis::2])
            for axis in (0, 1)
        )
        return rows[:, None] & columns


WHOLE = Framing()
"""Stretched, and all of it looked at."""


def content_sides(
    image_size: Size,
    size: Size,
    *,
    least: Callable[..., Any] = min,
    most: Callable[..., Any] = max,
) -> Size:
    """(height, width) of an image that fills a size and keeps its aspect ratio, rounded half up.

    Whole numbers alone, so that a traced graph finds the same.

    Args:
        least, most: `min` and `max`, or what is that of a graph's symbols.
    """
    (height, width), (rows, columns) = image_size, size
    high = (2 * height * columns + width) // (2 * width)
    wide = (2 * width * rows + height) // (2 * height)
    return least(rows, most(1, high)), least(columns, most(1, wide))


def edges_of(rectangle: tuple[float, ...], image_size: Size) -> tuple[tuple[int, ...], Size]:
    """(top, left, bottom, right) in units, of which an image has so many down and across."""
    if max(rectangle) > 1:
        return tuple(map(int, rectangle)), image_size
    return tuple(round(share * SHARES) for share in rectangle), (SHARES, SHARES)


def between(places: Any, extent: int, units: int, edges: tuple[int, ...]) -> Any:
    """Which of so many places along a side, numbered from 0, have their centre between two edges.

    Args:
        places: An array of numpy's or torch's.
        units: The side's length in the units of `edges`.
    """
    centres, (first, last) = (2 * places + 1) * units, edges
    return (centres >= 2 * extent * first) & (centres < 2 * extent * last)


def _extent(place: tuple[slice, slice]) -> Size:
    return place[0].stop - place[0].start, place[1].stop - place[1].start


def _checked_mask(own: Image.Image | None, image_size: Size) -> Image.Image:
    if own is None:
        raise ValueError("it comes without a mask of what to look at, which this network needs")
    _check_size(image_size, (own.height, own.width))
    return own


def _check_size(image_size: Size, mask_size: Size) -> None:
    if image_size != mask_size:
        sizes = " x ".join(map(str, image_size)), " x ".join(map(str, mask_size))
        raise ValueError(f"it has {sizes[0]} pixels, and the mask of what to look at {sizes[1]}")


def _checked(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not valid.any():
        raise ValueError("no pixel is looked at: all is ignored")
    return valid

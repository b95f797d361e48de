"""How images are cut into overlapping tiles: sizes and places. Imports nothing slow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

Size = tuple[int, int]

DEFAULT_OVERLAP = 0.25
LARGEST_OVERLAP = 0.9  # beyond it the tiles are many and nearly the same
LARGEST_SIDE = 16384  # of what a network sees at once: no machine has the memory for more


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size, spread evenly over an image at its own size.

    The first tile begins at the upper left corner and the last ends at the lower right one. An
    image that is smaller than a tile is first padded to it, see `padded`.

    Attributes:
        size: (height, width) of a tile in pixels of the image.
        overlap: The least share of a tile's side that it has in common with the next.
    """

    size: Size
    overlap: float = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"tile is {list(self.size)}; expected [height, width], both 1 or more")
        if max(self.size) > LARGEST_SIDE:
            raise ValueError(f"tile is {list(self.size)}; allowed: {LARGEST_SIDE} a side at most")
        if not 0 <= self.overlap <= LARGEST_OVERLAP:
            raise ValueError(
                f"tile_overlap is {self.overlap}; allowed: 0 to {LARGEST_OVERLAP}, a share of the "
                "tile's sides"
            )

    @classmethod
    def of(cls, size: Sequence[int] | None, overlap: float = DEFAULT_OVERLAP) -> Self | None:
        """What the settings `tile` and `tile_overlap` say; None where images are not cut.

        Raises:
            ValueError: a size or an overlap that is not allowed.
        """
        return None if size is None else cls(tuple(map(int, size)), float(overlap))  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave. Raises ValueError if it is something else."""
        try:
            height, width = plain["size"]
            return cls((int(height), int(width)), float(plain["overlap"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"tiling is damaged: {plain!r}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"size": list(self.size), "overlap": self.overlap}

    def padded(self, image_size: Size) -> Size:
        """The image's (height, width), or the tile's where that is larger."""
        return max(image_size[0], self.size[0]), max(image_size[1], self.size[1])

    def margin(self, image_size: Size) -> Size:
        """(rows above, columns left) that padding adds: the image stays in the middle."""
        padded = self.padded(image_size)
        return (padded[0] - image_size[0]) // 2, (padded[1] - image_size[1]) // 2

    def places(self, image_size: Size) -> list[Size]:
        """(top, left) of each tile in the padded image, row by row."""
        height, width = self.padded(image_size)
        return [
            (top, left)
            for top in _starts(height, self.size[0], self.overlap)
            for left in _starts(width, self.size[1], self.overlap)
        ]

    def part(self, place: Size) -> tuple[slice, slice]:
        """Rows and columns of the tile that begins at `place` (top, left)."""
        return slice(place[0], place[0] + self.size[0]), slice(place[1], place[1] + self.size[1])


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side: as few as have the overlap, at even distances."""
    step = max(tile - math.ceil(tile * overlap), 1)
    gaps = math.ceil((length - tile) / step)
    return [round(index * (length - tile) / gaps) for index in range(gaps + 1)] if gaps else [0]

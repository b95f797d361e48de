"""Images cut into the tiles that the network sees."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdad.data.decoded import Decoded
from rdad.data.images import resize_image, resize_mask
from rdad.data.tiling import Size, Tiling

Pixel = TypeVar("Pixel", np.uint8, np.bool_)


def pad_to_tile(image: NDArray[Pixel], tiling: Tiling) -> NDArray[Pixel]:
    """(H, W, ...), mirrored at its borders up to a tile's size where it is smaller; else as it is.

    The image stays in the middle. The border's own pixels are repeated (c b a | a b c), as where
    the map is blurred.
    """
    (height, width), padded = image.shape[:2], tiling.padded(image.shape[:2])
    if (height, width) == padded:
        return image
    above, left = tiling.margin((height, width))
    margins = [(above, padded[0] - height - above), (left, padded[1] - width - left)]
    return np.pad(image, margins + [(0, 0)] * (image.ndim - 2), mode="symmetric")


def cut(
    padded: NDArray[np.uint8], tiling: Tiling, places: Sequence[Size], size: Size
) -> NDArray[np.uint8]:
    """The tiles that begin at `places` (top, left) of a padded image, for the network.

    Args:
        padded: (H, W, 3), from `pad_to_tile`.
        size: (height, width) to which each tile is brought, by the filter of all images.

    Returns:
        (len(places), *size, 3).
    """
    tiles = [padded[tiling.part(place)] for place in places]
    if tiling.size != size:
        tiles = [resize_image(Image.fromarray(tile), size) for tile in tiles]
    return np.stack(tiles)


class Tiles:
    """All tiles of images at their own sizes, numbered image by image; cut when asked for.

    Args:
        size: (height, width) to which each tile is brought.

    Attributes:
        images: For each tile the row of its image.
        valid: None: of tiles all pixels count.
    """

    valid = None

    def __init__(self, whole: Decoded, tiling: Tiling, size: Size) -> None:
        self._whole, self._tiling, self._size = whole, tiling, size
        places = [tiling.places(image_size) for image_size in whole.sizes]
        self._tiles = [(row, place) for row, own in enumerate(places) for place in own]
        self.images = [row for row, _ in self._tiles]

    def batch(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Tiles (B, h, w, 3) and their part of the masks (B, h, w)."""
        tiles, masks = zip(*map(self._cut, rows), strict=True)
        return np.stack(tiles), np.stack(masks)

    def _cut(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        image, place = self._tiles[row]
        padded = pad_to_tile(self._whole.images[image], self._tiling)
        (tile,) = cut(padded, self._tiling, [place], self._size)
        marked = pad_to_tile(self._whole.masks[image], self._tiling)[self._tiling.part(place)]
        if not marked.any():
            return tile, np.broadcast_to(np.False_, self._size)
        grey = Image.fromarray(np.where(marked, 255, 0).astype(np.uint8))
        return tile, resize_mask(grey, self._size)

"""An image cut into the tiles that the network sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdad.data.transforms import resize_image
from rdad.tiling import Size, Tiling


def pad_to_tile(image: NDArray[np.uint8], tiling: Tiling) -> NDArray[np.uint8]:
    """(H, W, 3), mirrored at its borders up to a tile's size where it is smaller; else as it is.

    The image stays in the middle. The border's own pixels are repeated (c b a | a b c), as where
    the map is blurred.
    """
    own, padded = image.shape[:2], tiling.padded(image.shape[:2])
    before = tiling.margin(own)
    after = (padded[0] - own[0] - before[0], padded[1] - own[1] - before[1])
    if own == padded:
        return image
    return np.pad(image, [*zip(before, after, strict=True), (0, 0)], mode="symmetric")


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
    tiles = np.empty((len(places), *size, 3), np.uint8)
    height, width = tiling.size
    for number, (top, left) in enumerate(places):
        tile = padded[top : top + height, left : left + width]
        resized = tile if tiling.size == size else resize_image(Image.fromarray(tile), size)
        tiles[number] = resized
    return tiles

"""The maps of an image's tiles joined to one map, without seams.

Tiles are blended before the blur, and the whole is blurred once. Blurred tiles would not fit
together: at its borders the blur of a tile mirrors what the neighbour has in truth.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from rdad.data.tiling import Size, Tiling
from rdad.model.anomaly_map import blur_map


def window(length: int) -> Tensor:
    """Weights (length,) of the places along a tile's side: a raised cosine, above 0 everywhere.

    A tile enters and leaves with hardly any weight, so that no edge of it is seen, and counts
    most in its middle, where the network sees furthest to all sides.
    """
    middles = torch.arange(length, dtype=torch.float64) + 0.5
    return torch.sin(math.pi * middles / length).square().float()


class TileBlend:
    """The blended map of one image, to which tiles are added in any order.

    Memory: one map of the image and what `add` gets.

    Args:
        image_size: (height, width) of the image.
        device: Where the map is kept.
    """

    def __init__(self, tiling: Tiling, image_size: Size, device: torch.device) -> None:
        self.tiling, self.image_size = tiling, image_size
        self._windows = [window(side).to(device) for side in tiling.size]
        height, width = tiling.padded(image_size)
        self._sum = torch.zeros(height, width, device=device)
        # The weights of tiles on a grid are a product, and so are their sums.
        self._weights = [torch.zeros(side, device=device) for side in (height, width)]
        places = tiling.places(image_size)
        for axis, (weights, side) in enumerate(zip(self._weights, tiling.size, strict=True)):
            for start in {place[axis] for place in places}:
                weights[start : start + side] += self._windows[axis]

    def add(self, maps: Tensor, places: Sequence[Size]) -> None:
        """Put maps (B, 1, h, w) where their tiles are, each stretched to the tile's size."""
        height, width = self.tiling.size
        maps = maps.float()
        if maps.shape[2:] != self.tiling.size:
            maps = F.interpolate(
                maps, size=self.tiling.size, mode="bilinear", align_corners=False, antialias=True
            )
        weights = self._windows[0][:, None] * self._windows[1]
        for tile, (top, left) in zip(maps[:, 0], places, strict=True):
            self._sum[top : top + height, left : left + width] += weights * tile

    def finished(self, *, sigma: tuple[float, float]) -> Tensor:
        """The map of the image, (1, 1, H, W): blended, freed of its padding, blurred.

        Args:
            sigma: Of the blur, vertically and horizontally, in pixels of the image.
        """
        whole = self._sum / self._weights[0][:, None] / self._weights[1]
        (top, left), (height, width) = self.tiling.margin(self.image_size), self.image_size
        return blur_map(whole[top : top + height, left : left + width][None, None], sigma)

"""Where an anomaly map lies above the pixel threshold: regions with box, peak and outline."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rdad.metrics.regions import EIGHT_NEIGHBOURS

Points: TypeAlias = NDArray[np.floating | np.integer]  # (N, 2), x and y


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels above the pixel threshold that belong together, diagonal neighbours too.

    Attributes:
        box: Left, top, width, height, in pixels of the image.
        score: The highest raw value in it.
        peak: x and y of the pixel that has it.
        share: Of the image's pixels.
        mask: bool (height, width), inside the box.
    """

    box: tuple[int, int, int, int]
    score: float
    peak: tuple[int, int]
    share: float
    mask: NDArray[np.bool_]

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.mask.sum())

    @property
    def outline(self) -> list[list[int]]:
        """x and y of its border pixels, in order and without those on the straight between.

        Filled with its border, as Pillow and OpenCV fill polygons, it is the region. Around a hole
        it goes on the line on which it also comes back.
        """
        return _corners(self._border[1] + self.box[:2]).tolist()

    @property
    def polygon(self) -> list[list[float]]:
        """The same between the pixels: the image's corner is (0, 0), its first centre (0.5, 0.5).

        The centres inside, by the even-odd rule, as COCO fills polygons, are the region's.
        """
        return _corners(self._border[0] + self.box[:2]).tolist()

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers and lists of them."""
        return {
            "box": list(self.box),
            "area": self.area,
            "share": self.share,
            "score": self.score,
            "peak": list(self.peak),
            "outline": self.outline,
        }

    @cached_property
    def _border(self) -> tuple[Points, Points]:
        """Around the region, inside its box: points between pixels, and the pixels inside of them.

        Holes are joined to what lies left of them, the leftmost hole first.
        """
        (between, pixels), *holes = sorted(_rings(self.mask), key=lambda ring: ring[0][:, 0].min())
        for hole, beside in holes:
            first = int(hole[:, 0].argmin())
            turn = np.arange(first, first + len(hole) + 1) % len(hole)
            x, y = beside[first]
            left = x - np.argmin(np.r_[self.mask[y, x::-1], False]) + 1
            at = int(np.flatnonzero((pixels == (left, y)).all(axis=1))[0])
            between = np.concatenate([between[: at + 1], hole[turn], between[at:]])
            pixels = np.concatenate([pixels[: at + 1], beside[turn], pixels[at:]])
        return between, pixels


def find_regions(anomaly_map: NDArray[np.floating], above: NDArray[np.bool_]) -> list[Region]:
    """The regions of a map, the largest first.

    Args:
        anomaly_map: (H, W), raw.
        above: (H, W), where it is above the pixel threshold.
    """
    labels = np.zeros(above.shape, np.int32)
    ndimage.label(above, EIGHT_NEIGHBOURS, output=labels)
    regions = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[rows, columns] == number
        values = np.where(mask, anomaly_map[rows, columns], -np.inf)
        y, x = divmod(int(values.argmax()), mask.shape[1])
        regions.append(
            Region(
                (columns.start, rows.start, mask.shape[1], mask.shape[0]),
                float(values.max()),
                (columns.start + x, rows.start + y),
                int(mask.sum()) / above.size,
                mask,
            )
        )
    return sorted(regions, key=lambda region: -region.area)


def large(regions: Sequence[Region], smallest: int) -> list[Region]:
    """Those of so many pixels or more."""
    return [region for region in regions if region.area >= smallest]


def region_mask(regions: Sequence[Region], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (height, width) of regions: 255 inside, else 0."""
    picture = np.zeros(size, np.uint8)
    for region in regions:
        left, top, width, height = region.box
        picture[top : top + height, left : left + width][region.mask] = 255
    return picture


def _rings(mask: NDArray[np.bool_]) -> list[tuple[Points, Points]]:
    """Around a region and around each of its holes, (N, 2): x and y of points between an inner and
    an outer pixel, and of the inner one."""
    from skimage.measure import find_contours

    padded = np.pad(mask, 1)
    rings: list[tuple[Points, Points]] = []
    for contour in find_contours(padded.astype(np.float32), 0.5, fully_connected="high"):
        points = contour[:-1]  # the last is the first
        low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
        inner = np.where(padded[tuple(low.T)][:, None], low, high)
        rings.append((points[:, ::-1] - 0.5, inner[:, ::-1] - 1))
    return rings


def _corners(points: Points) -> Points:
    """A closed line's points without repetitions and those that lie straight on the way."""
    moved = (points != np.roll(points, 1, axis=0)).any(axis=1)
    points = points[moved] if moved.any() else points[:1]
    come, go = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    bends = come[:, 0] * go[:, 1] != come[:, 1] * go[:, 0]
    return points[bends | ((come * go).sum(axis=1) <= 0)]  # a line's end turns back

"""Saturated per-region overlap (sPRO): a defect is found once enough of it is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rdad.metrics.exact import checked_limit
from rdad.metrics.ranking import rank

Region: TypeAlias = tuple[NDArray[np.bool_], int]
"""A defect's mask (H, W), connected or not, and how many of its pixels are enough."""

ROOM = 2**20  # pixels beyond the highest that may gather before they are sorted out


def au_spro(
    maps: Sequence[NDArray[Any]],
    regions: Sequence[Iterable[Region]],
    *,
    fpr_limit: float = 0.05,
) -> float:
    """The area of `SaturatedOverlap`, of maps (H, W) of any sizes and the regions of each."""
    overlap = SaturatedOverlap(sum(one.size for one in maps), fpr_limit=fpr_limit)
    for anomaly_map, own in zip(maps, regions, strict=True):
        overlap.add(anomaly_map, own)
    return overlap.area()


class SaturatedOverlap:
    """Area under the regions' mean sPRO, over the false-positive rate up to a limit, in [0, 1].

    A region's sPRO at a threshold is min(pixels found / pixels that are enough, 1); regions weigh
    the same, and may overlap. False positives are counted among the pixels of all images that lie
    in no region. Straight lines join all thresholds, also at the limit; the area is divided by the
    limit. It is exact: of a region the highest pixels that are enough of it decide, and of the
    normal pixels the highest up to the limit. Where every pixel is needed it is the AUPRO of the
    regions.

    Memory: 4 bytes (of float32 maps) for each normal pixel up to the limit and for each pixel that
    is enough, never whole maps. For a moment, in `area`, three times that for the former, and about
    200 bytes for each of the latter.

    Args:
        pixels: How many pixels all maps have together, or more.
        fpr_limit: The false-positive rate up to which the area is taken.

    Raises:
        ValueError: a limit outside (0, 1].

    Source: Bergmann et al., IJCV 2022 (doi 10.1007/s11263-022-01578-9), section 4.2.
    """

    def __init__(self, pixels: int, *, fpr_limit: float = 0.05) -> None:
        self._pixels, self._limit = pixels, checked_limit(fpr_limit)
        self._most = int(pixels * self._limit) + 1
        self._seen = self._normal_count = 0
        self._enough: list[NDArray[Any]] = []  # of each region its decisive pixels
        self._normal: list[NDArray[Any]] = []
        self._lowest = -np.inf  # below it normal pixels are counted, not kept
        self._given_up = 0  # normal pixels at `_lowest` itself that are not kept

    def add(
        self,
        anomaly_map: NDArray[Any],
        regions: Iterable[Region] = (),
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take an image's raw map (H, W), and the regions of its defects; a good image has none.

        Pixels that are not `valid` (H, W) are left out: of a region the rest counts, of which no
        more is enough than it has; a region without a rest does not count.

        Raises:
            ValueError: shapes differ, the map holds NaN, a region has no pixel or fewer than are
                enough, or more pixels came than were announced.
        """
        self._check(anomaly_map)
        valid = np.ones(anomaly_map.shape, bool) if valid is None else valid
        normal = valid.copy()
        for mask, enough in regions:
            _check_region(mask, enough, anomaly_map.shape)
            if (found := anomaly_map[mask & valid]).size:
                self._enough.append(_highest(found, enough))
            normal &= ~mask
        pixels = anomaly_map[normal]
        self._normal_count += pixels.size
        self._normal.append(pixels[pixels >= self._lowest])
        if sum(map(len, self._normal)) > self._most + max(self._most // 2, ROOM):
            self._give_up()

    def area(self) -> float:
        """The area; nan where there is no region, or no normal pixel."""
        if not self._enough or not self._normal_count:
            return float("nan")
        shares = [1 / (one.size * len(self._enough)) for one in self._enough]
        weights = np.repeat(shares, [one.size for one in self._enough])
        enough, normal = np.concatenate(self._enough), np.concatenate(self._normal)
        ranking = rank(np.concatenate([normal, enough]), enough, weights)
        tied = ranking.negatives_tied + self._given_up * (ranking.values == self._lowest)
        ranking = replace(ranking, negatives_tied=tied, negative_count=self._normal_count)
        return ranking.partial_area(self._limit)

    def _give_up(self) -> None:
        """Keep the highest, which all that are to come cannot push beyond the limit."""
        pixels = np.concatenate(self._normal)
        kept = _highest(pixels, self._most)
        lowest = kept.min()
        lost = np.count_nonzero(pixels == lowest) - np.count_nonzero(kept == lowest)
        self._given_up = int(lost) + (self._given_up if lowest == self._lowest else 0)
        self._normal, self._lowest = [kept], lowest

    def _check(self, anomaly_map: NDArray[Any]) -> None:
        if anomaly_map.ndim != 2:
            raise ValueError(f"a map is {anomaly_map.shape}; it must be (H, W)")
        if np.isnan(anomaly_map).any():
            raise ValueError(f"{np.isnan(anomaly_map).sum()} pixels of a map are NaN")
        self._seen += anomaly_map.size
        if self._seen > self._pixels:
            raise ValueError(f"{self._seen} pixels came; announced: {self._pixels}")


def _check_region(mask: NDArray[np.bool_], enough: int, shape: tuple[int, ...]) -> None:
    if mask.shape != shape:
        raise ValueError(f"a map is {shape} and a region's mask {mask.shape}; both must be alike")
    area = np.count_nonzero(mask)
    if not 1 <= enough <= area:
        raise ValueError(f"{enough} pixels are to be enough of a region of {area}")


def _highest(values: NDArray[Any], count: int) -> NDArray[Any]:
    """The `count` highest of (N,), in any order; all where there are no more."""
    spare = values.size - count
    return np.partition(values, spare)[spare:] if spare > 0 else values

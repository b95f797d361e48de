"""Defect regions, and the per-region overlap (PRO) of one image as the authors integrate it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

THRESHOLDS_AN_IMAGE = 200
# Diagonal neighbours belong together; pixels of different images never do.
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_IN_EACH_IMAGE = np.stack([~EIGHT_NEIGHBOURS, EIGHT_NEIGHBOURS, ~EIGHT_NEIGHBOURS])


def region_areas(masks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Areas of the 8-connected regions of defect pixels.

    Args:
        masks: (N, H, W), true at defects.

    Returns:
        For each defect pixel, in the order of `maps[masks]`, the area of its region in pixels;
        and the number of regions.
    """
    defective = masks[masks.any(axis=(1, 2))]
    if not defective.size:
        return np.zeros(0, dtype=np.int64), 0
    labels = np.empty(defective.shape, dtype=np.int32)
    count = ndimage.label(defective, structure=_IN_EACH_IMAGE, output=labels)
    regions = labels[defective]
    return np.bincount(regions)[regions], int(count)  # type: ignore[arg-type]


def touched_regions(masks: NDArray[np.bool_], by: NDArray[np.bool_]) -> tuple[int, int]:
    """Of the 8-connected regions of masks (N, H, W), how many have a pixel where `by` is true, and
    how many there are."""
    labels = np.empty(masks.shape, dtype=np.int32)
    count = ndimage.label(masks, structure=_IN_EACH_IMAGE, output=labels)
    return np.unique(labels[by & masks]).size, int(count)  # type: ignore[arg-type]


def image_aupros(
    maps: NDArray[np.floating],
    masks: NDArray[np.bool_],
    *,
    fpr_limit: float,
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """AUPRO of each image with a defect, (anomalous images,), as the authors' program computes it.

    For one image: 200 thresholds in equal steps from the map's minimum up to, and without, its
    maximum; a pixel is an alarm where the map is above the threshold; PRO is the mean over the
    image's regions of the share found; the false-positive rate counts this image's normal pixels
    only. Points with a rate below `fpr_limit` are kept, their rates divided by the largest of
    them, and the area is taken by trapezoids, without points added at either end. Source: RD4AD's
    test.py, compute_pro.

    Where that is not defined (a constant map, no normal pixel, fewer than two points or only rates
    of 0 below the limit; the authors' program stops there) the value is nan. Pixels that are not
    `valid` (N, H, W), of which the masks mark none, are left out.
    """
    valid = np.broadcast_to(np.True_, masks.shape) if valid is None else valid
    return np.array(
        [
            _image_aupro(maps[index], masks[index], valid[index], fpr_limit)
            for index in np.flatnonzero(masks.any(axis=(1, 2)))
        ],
        dtype=np.float64,
    )


def _image_aupro(
    anomaly_map: NDArray[np.floating],
    mask: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    fpr_limit: float,
) -> float:
    lowest, highest = float(anomaly_map[valid].min()), float(anomaly_map[valid].max())
    normal = np.sort(anomaly_map[valid & ~mask])
    step = (highest - lowest) / THRESHOLDS_AN_IMAGE
    if not normal.size or not 0 < step < np.inf:
        return float("nan")
    thresholds = np.arange(lowest, highest, step)
    rates = (normal.size - np.searchsorted(normal, thresholds, "right")) / normal.size
    kept = rates < fpr_limit
    if kept.sum() < 2 or not rates[kept].max():
        return float("nan")
    overlaps = _mean_overlaps(anomaly_map[mask], region_areas(mask[None])[0], thresholds)
    return float(-np.trapezoid(overlaps[kept], rates[kept] / rates[kept].max()))


def _mean_overlaps(
    defects: NDArray[np.floating], areas: NDArray[np.int64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean share of a region that is above each threshold, (T,)."""
    order = np.argsort(defects)
    weights = 1 / areas[order]
    missed = np.r_[0.0, np.cumsum(weights)]
    found = missed[-1] - missed[np.searchsorted(defects[order], thresholds, "right")]
    return found / missed[-1]

"""Exact threshold-free figures of raw scores, in numpy: every threshold counts, and ties.

Scores may be any real numbers, also infinite, and are compared as they are, in their own dtype.
Labels and masks are boolean, or hold 0 and 1, with 1 for a positive: an anomaly, a defect pixel.
Where a figure is not defined, because all labels are the same, it is nan.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdad.metrics.ranking import Curve, Ranking, rank
from rdad.metrics.regions import image_aupros, region_areas


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half.

    Args:
        scores: Any shape.
        labels: The same shape.

    Raises:
        ValueError: shapes differ, a score is NaN, or a label is neither 0 nor 1.
    """
    return _ranked(scores, labels).auroc()


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Precision averaged over recall, in steps, as scikit-learn defines it.

    Arguments and errors as in `auroc`; with positives only it is nan, where scikit-learn says 1.
    """
    return _ranked(scores, labels).average_precision()


def f1_max(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Highest F1 over all thresholds, and the highest threshold (score >= it) that reaches it.

    Arguments and errors as in `auroc`. What it says about test data is no threshold to deploy.
    """
    return _ranked(scores, labels).f1_max()


def aupro(maps: ArrayLike, masks: ArrayLike, *, fpr_limit: float = 0.3) -> float:
    """Area under the per-region overlap, over the false-positive rate up to `fpr_limit`, in [0, 1].

    MVTec's definition: one curve over the whole test set; regions are 8-connected, and each weighs
    the same; normal are all pixels outside them, those of normal images too. Straight lines join
    all thresholds, also at the limit; the area is divided by the limit.

    Args:
        maps: (N, H, W) or (N, 1, H, W).
        masks: The same shape.

    Raises:
        ValueError: as in `auroc`, or a limit outside (0, 1].

    Source: Bergmann et al., IJCV 2021, section 5.1.
    """
    return _ranked_regions(maps, masks).partial_area(checked_limit(fpr_limit))


def aupro_per_image(maps: ArrayLike, masks: ArrayLike, *, fpr_limit: float = 0.3) -> float:
    """Mean over the anomalous images of an AUPRO of their own, as the authors' program does it.

    It flatters, and stands here for comparing with the paper. `image_aupros` says what is
    computed. It is nan where an image's value is.
    """
    maps, masks = _checked(maps, masks)
    each = image_aupros(_stacked(maps), _stacked(masks), fpr_limit=checked_limit(fpr_limit))
    return float(each.mean()) if each.size else float("nan")


def roc_curve(scores: ArrayLike, labels: ArrayLike, *, points: int = 1000) -> Curve:
    """The ROC curve at no more than `points` thresholds; arguments and errors as in `auroc`."""
    return _ranked(scores, labels).roc(points)


def pro_curve(maps: ArrayLike, masks: ArrayLike, *, points: int = 1000) -> Curve:
    """Mean per-region overlap over the FPR of all normal pixels; arguments as in `aupro`.

    The whole curve up to a rate of 1, of which AUPRO takes the part below its limit.
    """
    return _ranked_regions(maps, masks).pro(points)


def _ranked(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    scores, labels = _checked(scores, labels)
    return rank(scores.ravel(), scores[labels])


def _ranked_regions(maps: ArrayLike, masks: ArrayLike) -> Ranking:
    maps, masks = _checked(maps, masks)
    areas, count = region_areas(_stacked(masks))
    return rank(maps.ravel(), maps[masks], 1 / (areas * max(count, 1)))


def checked_limit(fpr_limit: float) -> float:
    """`fpr_limit`, or ValueError."""
    if not 0 < fpr_limit <= 1:
        raise ValueError(f"fpr_limit is {fpr_limit}; allowed are values above 0 and up to 1")
    return float(fpr_limit)


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape:
        raise ValueError(f"scores {scores.shape} and labels {labels.shape} differ in shape")
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).sum()} of {scores.size} scores are NaN")
    if labels.dtype != np.bool_ and not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1; found {np.unique(labels)[:5]}")
    return scores, labels.astype(bool)


def _stacked(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W) from that or from (N, 1, H, W)."""
    if images.ndim == 4 and images.shape[1] == 1:
        return images[:, 0]
    if images.ndim != 3:
        raise ValueError(f"maps and masks are {images.shape}; allowed: (N, H, W), (N, 1, H, W)")
    return images

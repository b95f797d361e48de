"""ROC and PRO curves for plots, thinned to what a plot can show."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdad.metrics.exact import ranked, ranked_regions
from rdad.metrics.ranking import Ranking


class Curve(NamedTuple):
    """Points of a rising curve from (0, 0) to (1, 1), to be joined by straight lines.

    Attributes:
        fpr: (K,) false-positive rates.
        found: (K,) true-positive rates, or mean per-region overlaps.
    """

    fpr: NDArray[np.float64]
    found: NDArray[np.float64]


def roc_curve(scores: ArrayLike, labels: ArrayLike, *, points: int = 1000) -> Curve:
    """The ROC curve at no more than `points` thresholds; arguments and errors as in `auroc`."""
    return roc_of(ranked(scores, labels), points=points)


def pro_curve(maps: ArrayLike, masks: ArrayLike, *, points: int = 1000) -> Curve:
    """Mean per-region overlap over the FPR of all normal pixels; arguments as in `aupro`.

    The whole curve up to a rate of 1, of which AUPRO takes the part below its limit.
    """
    return pro_of(ranked_regions(maps, masks), points=points)


def roc_of(ranking: Ranking, *, points: int = 1000) -> Curve:
    """The ROC curve of a ranking; empty where a class is missing."""
    return _curve(ranking, ranking.positives / max(ranking.positive_count, 1), points)


def pro_of(ranking: Ranking, *, points: int = 1000) -> Curve:
    """The curve whose area AUPRO is, of a ranking weighted by regions; empty where undefined."""
    return _curve(ranking, ranking.weights, points)


def _curve(ranking: Ranking, shares: NDArray[np.float64], points: int) -> Curve:
    if ranking.one_class:
        return Curve(np.zeros(0), np.zeros(0))
    found = np.cumsum(shares)
    reached = ranking.negatives_above + ranking.negatives_tied
    # Each entry is a slope between two corners; level stretches join the slopes.
    corners = np.stack([ranking.negatives_above, reached], axis=1).ravel()
    fpr = np.r_[0.0, corners / ranking.negative_count, 1.0]
    heights = np.r_[0.0, np.stack([found - shares, found], axis=1).ravel(), 1.0]
    along = fpr + heights
    kept = np.searchsorted(along, np.linspace(0, along[-1], points))
    kept = np.unique(np.r_[0, kept[1:-1], along.size - 1])
    return Curve(fpr[kept], np.minimum(heights[kept], 1.0))

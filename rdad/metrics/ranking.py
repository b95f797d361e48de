"""Positives and negatives in the order of their scores, and the figures that follow from it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Points of a rising curve from (0, 0) to (1, 1), to be joined by straight lines.

    Attributes:
        fpr: (K,) false-positive rates.
        found: (K,) true-positive rates, or mean per-region overlaps.
    """

    fpr: Floats
    found: Floats


@dataclass(frozen=True)
class Ranking:
    """One entry for each distinct score that a positive has, highest first; G entries.

    Scores that only negatives have need no entry: between two entries the ROC curve runs level,
    precision falls, and so does F1.

    Attributes:
        values: (G,) scores.
        positives: (G,) how many positives have that score.
        weights: (G,) summed weight of those positives; all weights together are 1.
        negatives_above: (G,) how many negatives have a higher score.
        negatives_tied: (G,) how many negatives have that score.
        negative_count: All negatives.
        binned: (G,) or one for all: the entry is a bin of close scores, not a tie, and its
            positives and negatives are taken as mixed evenly.
    """

    values: NDArray[np.floating]
    positives: Counts
    weights: Floats
    negatives_above: Counts
    negatives_tied: Counts
    negative_count: int
    binned: NDArray[np.bool_] | bool = False

    @property
    def positive_count(self) -> int:
        return int(self.positives.sum())

    @property
    def one_class(self) -> bool:
        """Whether positives or negatives are missing, so that no figure is defined."""
        return self.negative_count == 0 or self.positive_count == 0

    def auroc(self) -> float:
        """Area under the ROC curve; ties count half. nan where a class is missing."""
        if self.one_class:
            return float("nan")
        beaten = self.negative_count - self.negatives_above - self.negatives_tied / 2
        return float(self.positives @ beaten / self.positive_count / self.negative_count)

    def partial_area(self, fpr_limit: float) -> float:
        """Area under weighted recall over false-positive rate up to `fpr_limit`, divided by it.

        Straight lines join the thresholds, also at the limit. Each positive adds its weight times
        the stretch of the axis on which it is found: the same area, summed by positives.
        """
        if self.one_class:
            return float("nan")
        start = self.negatives_above / self.negative_count
        width = self.negatives_tied / self.negative_count
        climbed = np.clip(fpr_limit - start, 0.0, width)  # the slope's part left of the limit
        level = np.maximum(fpr_limit - start - width, 0.0)
        slope = np.divide(climbed**2, 2 * width, out=np.zeros_like(width), where=width > 0)
        return float(self.weights @ (slope + level) / fpr_limit)

    def average_precision(self) -> float:
        """Mean over the positives of the precision at their score; nan where a class is missing."""
        if self.one_class:
            return float("nan")
        found = np.cumsum(self.positives)
        at_ties = self.positives * found / (found + self.negatives_above + self.negatives_tied)
        in_bins = self._precision_within_bins(found - self.positives)
        return float(np.where(self.binned, in_bins, at_ties).sum() / self.positive_count)

    def _precision_within_bins(self, found_above: Counts) -> Floats:
        """Summed precision at the positives of each bin, (G,), were its pixels mixed evenly.

        The k-th of p positives sees (k - 1/2) / p of the bin's n negatives above it. With T and F
        positives and negatives above the bin, the sum over k is close to the integral of
        (T + 1/2 + s) / (T + F + 1/2 + c·s) over s from 0 to p, where c = 1 + n / p.
        """
        spread = 1 + self.negatives_tied / self.positives
        found = found_above + 0.5
        alarms = found + self.negatives_above
        bent = (found - alarms / spread) * np.log1p(spread * self.positives / alarms)
        return (self.positives + bent) / spread

    def f1_max(self) -> tuple[float, float]:
        """Highest F1 over all thresholds, and the highest threshold (score >= it) that has it."""
        if self.one_class:
            return float("nan"), float("nan")
        found = np.cumsum(self.positives)
        alarms = found + self.negatives_above + self.negatives_tied
        scores = 2 * found / (alarms + self.positive_count)
        best = int(scores.argmax())
        return float(scores[best]), float(self.values[best])

    def figures(self) -> dict[str, float]:
        """`auroc`, `ap` and `f1_max`."""
        return {
            "auroc": self.auroc(),
            "ap": self.average_precision(),
            "f1_max": self.f1_max()[0],
        }

    def roc(self, points: int = 1000) -> Curve:
        """The ROC curve at no more than `points` thresholds; empty where a class is missing."""
        return self._curve(self.positives / max(self.positive_count, 1), points)

    def pro(self, points: int = 1000) -> Curve:
        """As `roc`, of weighted recall: the curve that `partial_area` takes a part of."""
        return self._curve(self.weights, points)

    def _curve(self, shares: Floats, points: int) -> Curve:
        if self.one_class:
            return Curve(np.zeros(0), np.zeros(0))
        found = np.cumsum(shares)
        reached = self.negatives_above + self.negatives_tied
        # Each entry is a slope between two corners; level stretches join the slopes.
        corners = np.stack([self.negatives_above, reached], axis=1).ravel()
        fpr = np.r_[0.0, corners / self.negative_count, 1.0]
        heights = np.r_[0.0, np.stack([found - shares, found], axis=1).ravel(), 1.0]
        along = fpr + heights
        kept = np.searchsorted(along, np.linspace(0, along[-1], points))
        kept = np.unique(np.r_[0, kept[1:-1], along.size - 1])
        return Curve(fpr[kept], np.minimum(heights[kept], 1.0))


def rank(
    scores: NDArray[np.floating],
    positives: NDArray[np.floating],
    weights: Floats | None = None,
) -> Ranking:
    """Rank the positives among all scores.

    Args:
        scores: (N,) of positives and negatives together, any order, no NaN.
        positives: (P,) those of the positives again.
        weights: (P,); None: all the same, with sum 1.
    """
    order = np.argsort(positives)
    ascending = positives[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]][: ascending.size])
    values, counts = ascending[starts], np.diff(starts, append=ascending.size)
    shares = counts / max(ascending.size, 1)
    if weights is not None and starts.size:
        shares = np.add.reduceat(weights[order], starts)
    below, not_above = _counts_below(scores, values)
    positives_above = ascending.size - np.cumsum(counts)
    return Ranking(
        values=values[::-1],
        positives=counts[::-1],
        weights=shares[::-1],
        negatives_above=(scores.size - not_above - positives_above)[::-1],
        negatives_tied=(not_above - below - counts)[::-1],
        negative_count=scores.size - ascending.size,
    )


def _counts_below(
    scores: NDArray[np.floating], values: NDArray[np.floating]
) -> tuple[Counts, Counts]:
    """How many of `scores` (N,) are < and <= each of the ascending `values` (G,).

    Scores below all values, which most normal pixels' are, are counted and not sorted.
    """
    parts = min(os.cpu_count() or 1, 4, 1 + scores.size // 500_000)
    lowest = values[0] if values.size else np.inf

    def count(part: NDArray[np.floating]) -> tuple[Counts, Counts]:
        reached = np.sort(part[part >= lowest])
        lower = part.size - reached.size
        below, not_above = (np.searchsorted(reached, values, side) for side in ("left", "right"))
        return lower + below, lower + not_above

    if parts == 1:
        return count(scores)
    # Counts of the parts add up, so the parts need no merging, and numpy sorts outside the GIL.
    with ThreadPoolExecutor(parts) as threads:
        below, not_above = zip(*threads.map(count, np.array_split(scores, parts)), strict=True)
    return np.sum(below, axis=0), np.sum(not_above, axis=0)

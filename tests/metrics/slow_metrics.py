"""A second, slow and obvious implementation of the figures: one loop over thresholds each."""

import itertools
import math

import numpy as np
from sklearn.metrics import auc


def points(scores, labels):
    """(false-positive rate, recall, precision) at each distinct score, highest first."""
    rows = []
    for threshold in sorted(set(scores.ravel().tolist()), reverse=True):
        alarms = scores >= threshold
        found, false = (alarms & labels).sum(), (alarms & ~labels).sum()
        rows.append((false / (~labels).sum(), found / labels.sum(), found / (found + false)))
    return rows


def slow_auroc(scores, labels):
    rows = [(0.0, 0.0, 1.0), *points(scores, labels)]
    return sum(
        (right[0] - left[0]) * (right[1] + left[1]) / 2 for left, right in itertools.pairwise(rows)
    )


def slow_average_precision(scores, labels):
    rows = [(0.0, 0.0, 1.0), *points(scores, labels)]
    return sum((here[1] - before[1]) * here[2] for before, here in itertools.pairwise(rows))


def slow_f1_max(scores, labels):
    return max(
        2 * precision * recall / (precision + recall) if recall else 0.0
        for _, recall, precision in points(scores, labels)
    )


def slow_f1(called, masks):
    """Pixel by pixel, over all images together."""
    pairs = list(zip(called.ravel().tolist(), masks.ravel().tolist(), strict=True))
    found, false, missed = (
        pairs.count(pair) for pair in ((True, True), (True, False), (False, True))
    )
    precision, recall = found / (found + false), found / (found + missed)
    return 2 * precision * recall / (precision + recall)


def slow_regions(mask):
    """Boolean masks of the 8-connected regions of one mask, found by flooding."""
    left = set(zip(*np.nonzero(mask), strict=True))
    regions = []
    while left:
        front, region = [left.pop()], np.zeros_like(mask)
        while front:
            row, column = front.pop()
            region[row, column] = True
            around = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            front += [place for place in around if place in left]
            left -= set(around)
        regions.append(region)
    return regions


def slow_aupro(maps, masks, fpr_limit):
    """One curve over all thresholds of all images, cut at the limit by a straight line."""
    rates, overlaps = [0.0], [0.0]
    regions = [(index, region) for index, mask in enumerate(masks) for region in slow_regions(mask)]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        alarms = maps >= threshold
        rates.append((alarms & ~masks).sum() / (~masks).sum())
        overlaps.append(np.mean([alarms[index][region].mean() for index, region in regions]))
    return cut_area(rates, overlaps, fpr_limit)


def cut_area(rates, heights, limit):
    """Under straight lines between the points, up to the limit, divided by it."""
    area = 0.0
    for i in range(1, len(rates)):
        if rates[i - 1] < limit:
            end = min(rates[i], limit)
            slope = (heights[i] - heights[i - 1]) / max(rates[i] - rates[i - 1], 1e-300)
            middle = heights[i - 1] + slope * (end - rates[i - 1]) / 2
            area += middle * (end - rates[i - 1])
    return area / limit


def slow_aupro_per_image(maps, masks, fpr_limit=0.3, steps=200):
    """What the authors' test.py is described to do, threshold by threshold."""
    values = []
    for anomaly_map, mask in zip(maps.astype(np.float64), masks, strict=True):
        if not mask.any():
            continue
        rates, overlaps = [], []
        low, high = anomaly_map.min(), anomaly_map.max()
        for threshold in np.arange(low, high, (high - low) / steps):
            alarms = anomaly_map > threshold
            rate = (alarms & ~mask).sum() / (~mask).sum()
            if rate < fpr_limit:
                rates.append(rate)
                overlaps.append(np.mean([alarms[region].mean() for region in slow_regions(mask)]))
        if len(rates) < 2 or not max(rates):
            return math.nan
        values.append(auc(np.array(rates) / max(rates), overlaps))
    return float(np.mean(values))


def slow_au_spro(maps, regions, fpr_limits):
    """Threshold by threshold, min(overlap / saturation, 1) of each region, cut at each limit."""
    good = [
        ~np.logical_or.reduce([np.zeros(one.shape, bool), *(mask for mask, _ in own)])
        for one, own in zip(maps, regions, strict=True)
    ]
    rates, means = [0.0], [0.0]
    for threshold in sorted(
        {value for one in maps for value in one.ravel().tolist()}, reverse=True
    ):
        alarms = [one >= threshold for one in maps]
        false = sum((a & g).sum() for a, g in zip(alarms, good, strict=True))
        rates.append(false / sum(outside.sum() for outside in good))
        found = [
            min((alarm & mask).sum() / saturation, 1)
            for alarm, own in zip(alarms, regions, strict=True)
            for mask, saturation in own
        ]
        means.append(np.mean(found))
    return [cut_area(rates, means, limit) for limit in fpr_limits]

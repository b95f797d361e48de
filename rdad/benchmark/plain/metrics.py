"""AUROC over lists and AUPRO by counting, as the published evaluation goes about them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = 200


def plain_auroc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """Area under the ROC curve drawn point by point; nan with one class only."""
    values, positive = np.array(scores), np.array(labels) == 1
    order = np.argsort(-values, kind="stable")
    values, positive = values[order], positive[order]
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # last of each tied group
    found = np.concatenate([[0], np.cumsum(positive)[ends]])
    alarms = np.concatenate([[0], np.cumsum(~positive)[ends]])
    if found[-1] == 0 or alarms[-1] == 0:
        return float("nan")
    return float(np.trapezoid(found / found[-1], alarms / alarms[-1]))


def plain_aupro(anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """One image's area under the per-region overlap below a false-positive rate of 0.3.

    As published: 200 thresholds, and at each of them the regions are found anew and every pixel
    is counted.
    """
    from skimage.measure import label, regionprops

    lowest, highest = float(anomaly_map.min()), float(anomaly_map.max())
    overlaps, rates = [], []
    for threshold in np.arange(lowest, highest, (highest - lowest) / THRESHOLDS):
        alarms = anomaly_map > threshold
        found = []
        for region in regionprops(label(mask)):
            rows, columns = region.coords[:, 0], region.coords[:, 1]
            found.append(alarms[rows, columns].sum() / region.area)
        overlaps.append(np.mean(found))
        rates.append((alarms & ~mask).sum() / (~mask).sum())
    rates_array, overlaps_array = np.array(rates), np.array(overlaps)
    kept = rates_array < 0.3
    shares = rates_array[kept] / rates_array[kept].max()
    return float(-np.trapezoid(overlaps_array[kept], shares))

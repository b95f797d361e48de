"""AUROC over lists of pixels and AUPRO by counting, as the published evaluation goes about them."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = 200


def plain_auroc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """scikit-learn's area under the ROC curve; nan with one class only."""
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import roc_auc_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return float(roc_auc_score(labels, scores))


def plain_aupro(anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """One image's area under the per-region overlap below a false-positive rate of 0.3.

    As published: 200 thresholds, and at each of them the regions are found anew, every pixel is
    counted, and the table of results is made anew with one row more.
    """
    import pandas as pd
    from skimage.measure import label, regionprops
    from sklearn.metrics import auc

    lowest, highest = float(anomaly_map.min()), float(anomaly_map.max())
    curve = pd.DataFrame()
    for threshold in np.arange(lowest, highest, (highest - lowest) / THRESHOLDS):
        alarms = anomaly_map > threshold
        found = []
        for region in regionprops(label(mask)):
            rows, columns = region.coords[:, 0], region.coords[:, 1]
            found.append(alarms[rows, columns].sum() / region.area)
        rate = (alarms & ~mask).sum() / (~mask).sum()
        point = {"overlap": np.mean(found), "rate": rate, "threshold": threshold}
        curve = pd.concat([curve, pd.DataFrame([point])], ignore_index=True)
    curve = curve[curve["rate"] < 0.3]
    return float(auc(curve["rate"] / curve["rate"].max(), curve["overlap"]))

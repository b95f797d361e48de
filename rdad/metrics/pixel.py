"""Figures of the anomaly maps, pixel by pixel and region by region."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdad.metrics.curves import Curve, pro_of, roc_of
from rdad.metrics.pixel_state import AuproDefinition, PixelState


class PixelMetrics(PixelState):
    """`pixel_auroc`, `pixel_ap`, `pixel_f1_max` and `aupro` of raw maps: exact, from one sort.

    A figure that is not defined is nan; after `compute`, `undefined` maps its name to the reason,
    and `curves` holds `pixel_roc` and `pro`. Memory as in `PixelState`.

    Args:
        fpr_limit: The false-positive rate up to which AUPRO is taken.
        aupro: `dataset`: one curve over all images (MVTec's); `per_image`: the mean of a curve for
            each anomalous image (the authors', which flatters; see `image_aupros`).
    """

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        ranking = self.ranking()
        reason = self.reason_undefined(ranking)
        names = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
        self.undefined = dict.fromkeys(names, reason) if reason else {}
        self.curves = {"pixel_roc": roc_of(ranking), "pro": pro_of(ranking)}
        if reason:
            self.curves = {name: Curve(np.zeros(0), np.zeros(0)) for name in self.curves}
            return dict.fromkeys(names, float("nan"))
        figures = {f"pixel_{name}": value for name, value in ranking.figures().items()}
        return figures | {"aupro": self.aupro_of(ranking)}


class AUPRO(PixelState):
    """Area under the per-region overlap, over the false-positive rate up to `fpr_limit`.

    MVTec's definition (see `rdad.metrics.exact.aupro`), or with `per_image` the authors'. Not
    defined: nan, and `undefined["aupro"]` says why. Memory as in `PixelState`.
    """

    def __init__(self, fpr_limit: float = 0.3, per_image: bool = False, **kwargs: Any) -> None:
        definition: AuproDefinition = "per_image" if per_image else "dataset"
        super().__init__(fpr_limit=fpr_limit, aupro=definition, **kwargs)

    def compute(self) -> Tensor:
        """A float64 scalar in [0, 1], or nan."""
        ranking = self.ranking()
        reason = self.reason_undefined(ranking)
        self.undefined = {"aupro": reason} if reason else {}
        value = float("nan") if reason else self.aupro_of(ranking)
        return torch.tensor(value, dtype=torch.float64)

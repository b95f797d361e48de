"""Figures of items that are seen in several images each, by the worst view of each."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from rdad.metrics.pixel import joined
from rdad.metrics.ranking import rank

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds


class PartMetrics(Metric):
    """`part_auroc`, `part_ap` and `part_f1_max`; with thresholds also how many are called so.

    An item's score is the highest of its views, and it is anomalous where any view is.
    `part_recall` and `part_false_alarm_rate` are the shares of anomalous and of normal items whose
    score is strictly above the image threshold. A figure that is not defined is nan; after
    `compute`, `undefined` maps its name to the reason.

    Memory: 12 bytes an image.
    """

    full_state_update = False
    scores: list[Tensor]
    labels: list[Tensor]
    parts: list[Tensor]

    def __init__(self, thresholds: "Thresholds | None" = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.thresholds = thresholds
        self.undefined: dict[str, str] = {}
        for state in ("scores", "labels", "parts"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, parts: Tensor) -> None:
        """Add a batch: `scores` and `labels` (B,), `parts` (B,) the same number for all views."""
        for state, values in (("scores", scores), ("labels", labels), ("parts", parts)):
            added = values.detach().to(torch.float32, copy=True)  # as in ImageMetrics
            setattr(self, state, [torch.cat([*getattr(self, state), added])])

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        self.undefined = {}
        numbers, places = np.unique(joined(self.parts), return_inverse=True)
        worst = np.full(numbers.size, -np.inf, np.float32)
        np.maximum.at(worst, places, joined(self.scores))
        anomalous = np.zeros(numbers.size, np.bool_)
        np.logical_or.at(anomalous, places, joined(self.labels) > 0)
        ranked = rank(worst, worst[anomalous]).figures()
        figures = {f"part_{name}": value for name, value in ranked.items()}
        if self.thresholds is not None:
            called = worst > np.float32(self.thresholds.image.value)
            figures["part_recall"] = _share(called[anomalous])
            figures["part_false_alarm_rate"] = _share(called[~anomalous])
        missing = "normal" if anomalous.any() else "anomalous"
        lost = [name for name, value in figures.items() if np.isnan(value)]
        self.undefined = dict.fromkeys(lost, f"there is no {missing} part")
        return figures

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.undefined = {}


def _share(called: np.ndarray) -> float:
    return float(called.mean()) if called.size else float("nan")

"""Figures of the image scores, all together and by defect type."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from rdad.metrics.groups import Groups, group_mean, groups_of
from rdad.metrics.pixel import joined
from rdad.metrics.ranking import Curve, Ranking, rank


class ImageMetrics(Metric):
    """`image_auroc`, `image_ap` and `image_f1_max` of raw scores, exact, ties included.

    With more than one defect type also `image_auroc/<type>` and so on, that type's images against
    all normal images. With groups also `image_auroc/<group>` and so on, and
    `image_auroc_group_mean`, their plain mean. A figure that is not defined is nan; after
    `compute`, `undefined` maps its name to the reason, `curves` holds `image_roc`, and
    `curve_areas` what lies under it.

    Memory: 12 bytes an image.

    Args:
        defect_types: Names of the defect types; their places are the codes given to `update`.
        groups: Of these types, see `rdad.metrics.groups`.
    """

    full_state_update = False
    scores: list[Tensor]
    labels: list[Tensor]
    codes: list[Tensor]

    def __init__(
        self, defect_types: Sequence[str] = (), groups: Groups = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.defect_types = tuple(defect_types)
        self.groups = groups_of(groups, self.defect_types)
        self.undefined: dict[str, str] = {}
        self.curves: dict[str, Curve] = {}
        self.curve_areas: dict[str, float] = {}
        for state in ("scores", "labels", "codes"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, defect_types: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            scores: (B,), any real numbers; kept in float32.
            labels: (B,), 1 or true for an anomaly, 0 or false for a normal image.
            defect_types: (B,) codes; those of normal images are not read. Needed where there is
                more than one defect type.

        Raises:
            ValueError: shapes differ, a score is NaN, a label is neither 0 nor 1, or a defect's
                code has no name.
        """
        codes = torch.zeros_like(labels) if defect_types is None else defect_types
        self._check(scores, labels, codes, named=defect_types is not None)
        # All states are float32: a rank without data contributes an empty float32 tensor, and
        # gathering wants one dtype on all ranks. And each stays one tensor: many small ones, kept
        # between the large ones of a run, leave holes in the heap (measured: 0.07 MB an image).
        for state, values in (("scores", scores), ("labels", labels), ("codes", codes)):
            added = values.detach().to(torch.float32, copy=True)
            setattr(self, state, [torch.cat([*getattr(self, state), added])])

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        scores, codes = joined(self.scores), joined(self.codes)
        anomalous = joined(self.labels) > 0
        self.undefined = {}
        ranking = rank(scores, scores[anomalous])
        figures = self._figures(ranking, "")
        self.curves = {"image_roc": ranking.roc()}
        self.curve_areas = {"image_roc": figures["image_auroc"]}
        apart = groups_of("types", self.defect_types) if len(self.defect_types) > 1 else {}
        for name, types in (apart | self.groups).items():
            chosen = ~anomalous | np.isin(codes, [self.defect_types.index(one) for one in types])
            ranking = rank(scores[chosen], scores[anomalous & chosen])
            figures |= self._figures(ranking, f"/{name}")
        return figures | group_mean("image_auroc", figures, self.groups, self.undefined)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.undefined, self.curves, self.curve_areas = {}, {}, {}

    def _figures(self, ranking: Ranking, suffix: str) -> dict[str, float]:
        figures = {f"image_{name}{suffix}": value for name, value in ranking.figures().items()}
        if ranking.one_class:
            missing = "normal" if ranking.positive_count else "anomalous"
            scored = ranking.positive_count + ranking.negative_count
            reason = f"there is no {missing} image" if scored else "no image was scored"
            self.undefined |= dict.fromkeys(figures, reason)
        return figures

    def _check(self, scores: Tensor, labels: Tensor, codes: Tensor, *, named: bool) -> None:
        if scores.ndim != 1 or not scores.shape == labels.shape == codes.shape:
            shapes = [tuple(tensor.shape) for tensor in (scores, labels, codes)]
            raise ValueError(f"scores, labels and defect_types are {shapes}; all must be (B,)")
        if torch.isnan(scores).any():
            raise ValueError(f"{int(torch.isnan(scores).sum())} of {len(scores)} scores are NaN")
        if not ((labels == 0) | (labels == 1)).all():
            raise ValueError(f"labels must be 0 or 1; found {labels.unique().tolist()}")
        if len(self.defect_types) > 1:
            found = codes[labels > 0]
            if not named or ((found < 0) | (found >= len(self.defect_types))).any():
                given = found.unique().tolist() if named else None
                raise ValueError(
                    f"defect_types of anomalous images are {given}; "
                    f"allowed are the places in {list(self.defect_types)}"
                )

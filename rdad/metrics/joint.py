"""Figures of several categories that one network was trained on: of each, and their mean."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn

from rdad.metrics.collection import AnomalyMetrics
from rdad.metrics.groups import Groups, groups_among

if TYPE_CHECKING:
    from rdad.metrics.ranking import Curve
    from rdad.metrics.thresholds import Thresholds

Figures = dict[str, float]
Reasons = dict[str, str]


class ScoredCategory(NamedTuple):
    """What is known of a category's test images.

    Attributes:
        defect_types: Those that it has.
        has_masks: Whether any of its images has one.
    """

    name: str
    defect_types: tuple[str, ...]
    has_masks: bool


class JointMetrics(nn.Module):
    """`AnomalyMetrics` of each category, as papers print them: `over_categories` names them.

    Memory: as `AnomalyMetrics`, for each category again.

    Args:
        categories: In the order of the codes given to `update`.
        defect_types: Of all categories; their places are the codes given to `update`.
        groups: Of these types; a category has those of its own types.
        thresholds: A category is judged by its own, where they have such.
        further: As of `AnomalyMetrics`.

    Attributes:
        undefined: For each figure that the last `compute` found undefined, the reason.
        curves, curve_areas: Empty: a figure is a mean over categories, and no area.
    """

    def __init__(
        self,
        categories: Sequence[ScoredCategory],
        *,
        defect_types: Sequence[str],
        groups: Groups = None,
        thresholds: "Thresholds | None" = None,
        **further: Any,
    ) -> None:
        super().__init__()
        self.categories = tuple(categories)
        self.undefined: Reasons = {}
        self.curves: dict[str, Curve] = {}
        self.curve_areas: Figures = {}
        self._members = nn.ModuleList(
            AnomalyMetrics(
                defect_types=one.defect_types,
                groups=groups_among(groups, one.defect_types),
                thresholds=None if thresholds is None else thresholds.of(one.name),
                **further,
            )
            for one in self.categories
        )
        own = [{name: code for code, name in enumerate(one.defect_types)} for one in categories]
        rows = [[*(of.get(name, -1) for name in defect_types), -1] for of in own]
        self._own_codes = torch.tensor(rows)  # the last column is for good images, whose code is -1

    def update(
        self,
        *,
        scores: Tensor,
        labels: Tensor,
        maps: Tensor,
        categories: Tensor,
        defect_types: Tensor,
        masks: Tensor | None = None,
        parts: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> None:
        """Add a batch: as `AnomalyMetrics.update`, and `categories` (B,), places in the order."""
        for place in categories.unique().tolist():
            of = categories == place
            own_masks = masks if self.categories[place].has_masks else None
            self._of(place).update(
                scores=scores[of],
                labels=labels[of],
                maps=maps[of],
                masks=None if own_masks is None else own_masks[of],
                defect_types=self._own_codes[place][defect_types[of]],
                parts=None if parts is None else parts[of],
                valid=None if valid is None else valid[of],
            )

    def compute(self) -> Figures:
        """All figures by name, in [0, 1] or nan."""
        members = {one.name: self._of(place) for place, one in enumerate(self.categories)}
        figures = {name: metrics.compute() for name, metrics in members.items()}
        reasons = {name: metrics.undefined for name, metrics in members.items()}
        figures, self.undefined = over_categories(figures, reasons)
        return figures

    def reset(self) -> None:
        """Forget all batches."""
        self.undefined = {}
        for place in range(len(self.categories)):
            self._of(place).reset()

    def _of(self, place: int) -> AnomalyMetrics:
        return cast(AnomalyMetrics, self._members[place])


RunMetrics: TypeAlias = AnomalyMetrics | JointMetrics
"""Of a run on one category, or on several."""


def over_categories(
    figures: Mapping[str, Mapping[str, float]], reasons: Mapping[str, Mapping[str, str]]
) -> tuple[Figures, Reasons]:
    """Means over the categories, and behind them the figures of each.

    `image_auroc` of a category is `image_auroc/<category>`, and that of one of its defect types
    `image_auroc/<category>/<type>`. The mean, `image_auroc`, is plain: each category counts the
    same, however many images it has. Of what not all categories have there is none; it is nan
    where a category's is.

    Args:
        figures: By category and name.
        reasons: Why some are undefined, by category and name.

    Returns:
        Figures, and why some are undefined, by name.
    """
    each = {_name(key, one): value for one, of in figures.items() for key, value in of.items()}
    undefined = {_name(key, one): value for one, of in reasons.items() for key, value in of.items()}
    means: Figures = {}
    for name in next(iter(figures.values()), {}):
        if "/" in name or not all(name in of for of in figures.values()):
            continue
        members = [_name(name, category) for category in figures]
        means[name] = statistics.fmean(each[member] for member in members)
        if lost := [member for member in members if member in undefined]:
            undefined[name] = f"{lost[0]} is undefined: {undefined[lost[0]]}"
    return means | each, undefined


def _name(name: str, category: str) -> str:
    metric, slash, kind = name.partition("/")
    return f"{metric}/{category}{slash}{kind}"

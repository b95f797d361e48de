"""A comparison as a picture: a panel a metric, a row a setting, a dot a job."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from matplotlib.figure import Figure

from rdad.results.figures import COLOURS
from rdad.sweep.comparison import (
    CATEGORY,
    HEADLINES,
    SEED,
    Row,
    grouped,
    mean,
    metric_names,
    over_categories,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SETTINGS = 40
LONGEST_NAME = 48
TITLES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
Groups: TypeAlias = Mapping[str, Sequence[Row]]
SINGLE, MEAN, SMALL_PRINT = "#A6A6A6", COLOURS[0], {"fontsize": 8, "color": "#555555"}


def comparison_figure(rows: Sequence[Row]) -> Figure:
    """A blue dot a setting; where seeds or categories give it several jobs, grey dots for these.

    Settings stand in the order of the sweep; of more than 40, those of the best image AUROC.
    Dots and not bars, because each panel's axis is cut to where its values lie, and says so.
    """
    metrics = metric_names(rows, HEADLINES)
    if not metrics:
        return _empty("no job has a result")
    groups = _groups(rows)
    means = {metric: _means(rows, groups, metric) for metric in metrics}
    drawn = _best(means[metrics[0]])
    figure = Figure(figsize=(11, 1.7 + 0.36 * len(drawn)), dpi=130)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        axes.set_title(TITLES[metric], loc="left", fontsize=11)
        values = [[row.job.metrics.get(metric, math.nan) for row in groups[one]] for one in drawn]
        _panel(axes, values, [means[metric][one] for one in drawn])
    panels[0].set_yticks(range(len(drawn)), [_cut(setting) for setting in drawn])
    panels[0].set_ylim(len(drawn) - 0.5, -0.6)
    figure.supxlabel(_caption(groups, len(drawn)), x=0.01, ha="left", **SMALL_PRINT)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    return figure


def _groups(rows: Sequence[Row]) -> Groups:
    """Seeds and categories are dots of a setting; categories are rows where no setting varies."""
    groups = grouped(rows, without=[SEED, CATEGORY])
    return groups if len(groups) > 1 else grouped(rows, without=[SEED])


def _means(rows: Sequence[Row], groups: Groups, metric: str) -> dict[str, float]:
    """As the tables have them: over categories, of those in which every setting has the metric."""
    table = over_categories(rows)
    if table is not None and set(table.settings) == set(groups):
        return {setting: table.mean(setting, metric) for setting in groups}
    return {
        setting: mean(row.job.metrics.get(metric, math.nan) for row in group)
        for setting, group in groups.items()
    }


def _best(means: Mapping[str, float]) -> list[str]:
    order = sorted(means, key=lambda one: -math.inf if math.isnan(means[one]) else means[one])
    kept = set(order[-MOST_SETTINGS:])
    return [setting for setting in means if setting in kept]


def _panel(axes: "Axes", values: Sequence[Sequence[float]], means: Sequence[float]) -> None:
    for height, (jobs, centre) in enumerate(zip(values, means, strict=True)):
        if len(jobs) > 1:
            axes.plot(jobs, [height] * len(jobs), "o", color=SINGLE, ms=5, alpha=0.7)
        if math.isnan(centre):
            place = {"transform": axes.get_yaxis_transform(), "va": "center"}
            axes.text(0.02, height, "undefined", **place, **SMALL_PRINT)
            continue
        axes.plot(centre, height, "o", color=MEAN, ms=7)
        above = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        axes.annotate(f"{centre:.4f}", (centre, height), **above)
    _finish(axes, has_values=not all(map(math.isnan, means)))


def _finish(axes: "Axes", *, has_values: bool) -> None:
    if has_values:
        axes.margins(x=0.12)
        axes.ticklabel_format(axis="x", useOffset=False)
        low, high = axes.get_xlim()
        axes.set_xlabel(f"axis from {low:.3f} to {high:.3f}", **SMALL_PRINT)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _caption(groups: Groups, drawn: int) -> str:
    several = any(len(group) > 1 for group in groups.values())
    parts = ["grey: single jobs; blue: the mean" if several else "one job a row"]
    if drawn < len(groups):
        parts.append(f"the best {drawn} of {len(groups)} settings by image AUROC")
    return "; ".join(parts)


def _cut(setting: str) -> str:
    plain = setting if len(setting) <= LONGEST_NAME else f"…{setting[-LONGEST_NAME:]}"
    return plain.replace("$", r"\$")


def _empty(message: str) -> Figure:
    figure = Figure(figsize=(6, 1.5), dpi=130)
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure

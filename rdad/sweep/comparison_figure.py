"""A comparison as a picture: a panel a metric, a row a setting, a dot a job."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from rdad.results.charts import COLOURS
from rdad.sweep.comparison import (
    CATEGORY,
    HEADLINES,
    SEED,
    SETTING,
    TITLES,
    category_means,
    mean,
    metric_names,
    over_categories,
    results,
)
from rdad.sweep.jobs import Job

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_SETTINGS = 40
LONGEST_NAME = 48
SINGLE, MEAN, SMALL_PRINT = "#A6A6A6", COLOURS[0], {"fontsize": 8, "color": "#555555"}


def comparison_figure(jobs: Sequence[Job]) -> Figure:
    """A blue dot a setting; where seeds or categories give it several jobs, grey dots for these.

    Settings stand in the order of the sweep; of more than 40, those of the best image AUROC.
    Dots and not bars, because each panel's axis is cut to where its values lie, and says so.
    """
    metrics = metric_names(jobs, HEADLINES)
    if not metrics:
        return _empty("no job has a result")
    dots, means = _by_setting(jobs, metrics)
    best = means.sort_values(metrics[0], kind="stable", na_position="first").tail(MOST_SETTINGS)
    drawn = [setting for setting in means.index if setting in best.index]
    figure = Figure(figsize=(11, 1.7 + 0.36 * len(drawn)), dpi=130)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        axes.set_title(TITLES[metric], loc="left", fontsize=11)
        values = [list(dots.loc[[setting], metric]) for setting in drawn]
        _panel(axes, values, list(means.loc[drawn, metric]))
    panels[0].set_yticks(range(len(drawn)), [_cut(setting) for setting in drawn])
    panels[0].set_ylim(len(drawn) - 0.5, -0.6)
    figure.supxlabel(_caption(dots, len(drawn)), x=0.01, ha="left", **SMALL_PRINT)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    return figure


def _by_setting(jobs: Sequence[Job], metrics: list[str]) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The metrics of the jobs and their means, both by setting.

    Seeds and categories are dots of a setting; categories are rows where no setting varies. The
    means over categories are of those in which every setting has the metric, as in the tables.
    """
    import pandas as pd

    dots = results(jobs, without=[SEED, CATEGORY]).set_index(SETTING).filter(metrics)
    if dots.index.nunique() == 1:
        dots = results(jobs, without=[SEED]).set_index(SETTING).filter(metrics)
    elif (table := over_categories(jobs)) is not None:
        return dots, category_means(table)
    return dots, pd.DataFrame(dots.groupby(SETTING, sort=False).agg(mean))


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


def _caption(dots: "pd.DataFrame", drawn: int) -> str:
    settings = dots.index.nunique()
    parts = ["one job a row" if settings == len(dots) else "grey: single jobs; blue: the mean"]
    if drawn < settings:
        parts.append(f"the best {drawn} of {settings} settings by image AUROC")
    return "; ".join(parts)


def _cut(setting: str) -> str:
    plain = setting if len(setting) <= LONGEST_NAME else f"…{setting[-LONGEST_NAME:]}"
    return plain.replace("$", r"\$")


def _empty(message: str) -> Figure:
    figure = Figure(figsize=(6, 1.5), dpi=130)
    figure.text(0.5, 0.5, message, ha="center", va="center")
    return figure

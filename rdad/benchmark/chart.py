"""The bar chart: what an image costs in each part, in both programs."""

from collections.abc import Sequence
from pathlib import Path

from rdad.benchmark.rows import Row

OURS, PLAIN = "#2f6f9f", "#c9c3b8"


def draw_chart(path: Path, rows: Sequence[Row], title: str) -> None:
    """Write a PNG: a pair of bars a part, on a logarithmic axis, with the ratio beside it."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.images][::-1]  # the first at the top
    figure = Figure(figsize=(8, 0.36 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(shown):
        longest = row.milliseconds(row.ours)
        axes.barh(place + 0.2, longest, 0.38, color=OURS, label="rdad" if not place else None)
        if row.plain:
            cost = row.milliseconds(row.plain)
            longest = max(longest, cost)
            axes.barh(place - 0.2, cost, 0.38, color=PLAIN)
            axes.text(1.1 * longest, place, f"{row.ratio:.1f} x", va="center", fontsize=8)
    axes.barh(0, 0, color=PLAIN, label="the published recipe, plainly")
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [f"{row.group}: {row.name.strip()}" for row in shown])
    axes.set_xlabel("milliseconds an image")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.02)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=130)

"""Figures as text: of one run, and tables with marks for the best, aligned or in Markdown."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

Mark: TypeAlias = Callable[[str], str]
Table: TypeAlias = list[list[str]]  # the first line is the header

unmarked: Mark = "{}".format
starred: Mark = "{}*".format
bold: Mark = "**{}**".format

BY_CATEGORY = ("image_auroc", "pixel_auroc", "aupro")
LESS_IS_BETTER = ("false_alarm_rate", "false_regions")


def metrics_table(metrics: Mapping[str, float], thresholds: "Thresholds | None") -> str:
    """The metrics over all defect types, a line each, and the thresholds that some of them use.

    Those that are undefined stand together in one line.
    Of several categories the metrics are means, and a line a category stands behind them.
    """
    overall = {name: value for name, value in metrics.items() if name.count("/") == 1}
    width = max(map(len, overall))
    known = {name: value for name, value in overall.items() if not math.isnan(value)}
    lost = ", ".join(name for name in overall if name not in known)
    lines = [
        "",
        *(f"  {name:<{width}}  {value:.4f}" for name, value in known.items()),
        *([f"  undefined: {lost}"] if lost else []),
        "",
        *_by_category(metrics),
    ]
    return "\n".join([*lines, f"thresholds  {thresholds or 'none'}"])


def _by_category(metrics: Mapping[str, float]) -> list[str]:
    """A table and an empty line; nothing for one category, whose pixels have one figure alone."""
    only = f"test/{BY_CATEGORY[1]}/"
    categories = [name.removeprefix(only) for name in metrics if name.startswith(only)]
    if not categories:
        return []
    rows = [
        [one, *(figure(metrics[f"test/{name}/{one}"], ".4f") for name in BY_CATEGORY)]
        for one in categories
    ]
    table = aligned([["category", *BY_CATEGORY], *rows])
    return [*(f"  {line}" for line in table.splitlines()), ""]


def short(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def figures(
    metric: str, values: Sequence[float | None], mark: Mark, form: str = ".4f"
) -> list[str]:
    """One column, its best value marked."""
    chosen = best([value for value in values if value is not None], metric)
    return [mark(figure(one, form)) if one == chosen else figure(one, form) for one in values]


def figure(value: float | None, form: str) -> str:
    """A dash where no job gave a figure; per cent without its sign."""
    if value is None:
        return "-"
    return "undefined" if math.isnan(value) else format(value, form).removesuffix("%")


def aligned(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def piped(table: Table) -> str:
    lines = [table[0], ["---"] * len(table[0]), *table[1:]]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def better(metric: str) -> Callable[[Iterable[float]], float]:
    """`max`, or `min` for a metric of which less is better."""
    return min if metric.endswith(LESS_IS_BETTER) else max


def best(values: Sequence[float], metric: str) -> float:
    """The best value; nan where there is nothing to tell apart."""
    known = {value for value in values if not math.isnan(value)}
    return better(metric)(known) if len(known) > 1 else math.nan

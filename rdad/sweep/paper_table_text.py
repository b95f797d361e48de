"""A paper's table as Markdown, LaTeX and CSV."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from rdad.results.text_table import Table, aligned, piped
from rdad.sweep.paper_table import CONFIDENCE, Line, PaperTable
from rdad.sweep.published import METRICS

PARTS = {"image": METRICS[:3], "pixel": METRICS[3:]}
NAMES = dict(zip(METRICS, ("AUROC", "AP", "F1-max", "AUROC", "AP", "F1-max", "AUPRO"), strict=True))
NOTHING = "–"
JUDGED = ("image_auroc", "pixel_auroc", "aupro")
SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
}


def markdown(tables: Sequence[PaperTable]) -> str:
    """A page of all tables, with what is missing and where the published figures stand."""
    parts = ["# Benchmark, per cent"]
    for one in tables:
        parts += [f"## {one.title}", piped(_table(one)), *_notes(one)]
    return "\n\n".join(parts) + "\n"


def latex(tables: Sequence[PaperTable]) -> str:
    """The same tables for a paper; their rules are those of the package booktabs."""
    return "\n\n".join(map(_latex_table, tables)) + "\n"


def rows(tables: Sequence[PaperTable]) -> tuple[list[str], list[list[Any]]]:
    """Columns, and a row for each metric of each line."""
    columns = ["table", "category", "metric", "mean", "deviation", "seeds", "published"]
    found = []
    for table in tables:
        for line, metric in product(table.lines, table.metrics):
            ours = [line.mean(metric), line.deviation(metric), len(line.figures.get(metric, ()))]
            theirs = [line.published.get(metric, math.nan), line.difference(metric)]
            found.append([table.title, line.name, metric, *ours, *theirs, line.verdict(metric)])
    return [*columns, "difference", "verdict"], found


def verdicts(tables: Sequence[PaperTable]) -> str:
    """Category by category whether the published figures lie within the seeds' noise."""
    parts = []
    for one in tables:
        judged = [metric for metric in JUDGED if metric in one.metrics]
        table = [["against published", *judged]]
        for line in one.lines:
            cells = [f"{_difference(line, m)} {line.verdict(m)}" for m in judged]
            table.append([line.name, *cells])
        parts += [one.title, aligned(table), *_notes(one)]
    return "\n\n".join(parts)


def _table(one: PaperTable) -> Table:
    """A line a category; for images and pixels ours, and what is published with the difference."""
    table = [["category", *(line.name for line in one.lines)]]
    for part, of in PARTS.items():
        metrics = [metric for metric in of if metric in one.metrics]
        columns: dict[str, Callable[[Line, str], str]] = {}
        if metrics:
            columns[f"{part} {' / '.join(NAMES[metric] for metric in metrics)}"] = _spread
        if metrics and one.sources:
            columns |= {"published": _published, "difference": _difference}
        for title, form in columns.items():
            table.append([title, *(_cell(form, line, metrics) for line in one.lines)])
    return [list(row) for row in zip(*table, strict=True)]


def _cell(form: Callable[[Line, str], str], line: Line, metrics: Sequence[str]) -> str:
    """As "98.5 / – / 93.1"; one dash where there is nothing at all."""
    figures = [form(line, metric) for metric in metrics]
    return " / ".join(figures) if set(figures) != {NOTHING} else NOTHING


def _notes(one: PaperTable) -> list[str]:
    notes = []
    if one.seeds > 1:
        counts = {len(values) for line in one.lines for values in line.figures.values()}
        most = "" if counts == {one.seeds} else "at most "
        notes.append(f"Means ± sample standard deviations over {most}{one.seeds} seeds.")
    for reason in dict.fromkeys(one.missing.values()):
        lost = ", ".join(name for name in one.missing if one.missing[name] == reason)
        notes.append(f"Missing ({reason}): {lost}.")
    if one.sources:
        notes.append(f"Published figures: {'; '.join(one.sources)}.")
    if one.seeds > 1 and one.sources:
        notes.append(
            "A published figure is within where it could be that of one more seed "
            f"({CONFIDENCE:.0%} prediction interval)."
        )
    return notes


def _latex_table(one: PaperTable) -> str:
    header, *lines = [[_escaped(cell) for cell in line] for line in _table(one)]
    notes = "\n".join(f"% {note}" for note in _notes(one))
    groups = [number for number, line in enumerate(one.lines) if line.name.startswith("mean")]
    body = [" & ".join(line) + r" \\" for line in lines]
    for number in reversed(groups):
        body.insert(number, r"\midrule")
    return "\n".join(
        [
            f"% {one.title}",
            notes,
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            " & ".join(header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(sign, sign) for sign in text)


def _spread(line: Line, metric: str) -> str:
    deviation = line.deviation(metric)
    mean = _plain(line.mean(metric))
    return mean if math.isnan(deviation) else f"{mean}±{deviation:.1f}"


def _published(line: Line, metric: str) -> str:
    return _plain(line.published.get(metric, math.nan))


def _difference(line: Line, metric: str) -> str:
    value = line.difference(metric)
    return NOTHING if math.isnan(value) else f"{value:+.1f}".replace("-", "−")


def _plain(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.1f}"

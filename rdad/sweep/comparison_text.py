"""A comparison as text: a table for the terminal, and a Markdown page."""

import math
from collections.abc import Callable, Iterator, Sequence

from rdad.results.text_table import (
    Mark,
    Table,
    aligned,
    bold,
    figure,
    figures,
    piped,
    starred,
    unmarked,
)
from rdad.sweep.comparison import (
    COSTS,
    HEADLINES,
    PaperTable,
    Row,
    Spread,
    metric_names,
    over_categories,
    over_seeds,
    value_text,
    with_result,
)
from rdad.sweep.jobs import FINISHED

COST_FORMS = dict(zip(COSTS, (".1f", ".1f", ".0f"), strict=True))
LONGEST_JOB, LONGEST_TABLE = 16, 20
PARTIAL = "The mean is over the categories in which every setting has the metric."


def terminal(rows: Sequence[Row]) -> str:
    """The headline metrics; the files have the others."""
    metrics = metric_names(rows, HEADLINES)
    summaries = list(_summaries(rows, metrics, mark=starred))
    parts = []
    if with_result(rows) and not (summaries and len(rows) > LONGEST_TABLE):
        mark = unmarked if summaries else starred
        parts.append(aligned(_job_table(rows, metrics, mark=mark, name=_short)))
    for title, summary in summaries:
        parts += [title, aligned(summary)]
    if any("*" in part for part in parts):
        parts.append("* the best")
    return "\n\n".join(parts)


def markdown(rows: Sequence[Row], *, picture: str) -> str:
    """All overall metrics, the best in bold, and why jobs have no result.

    The best is marked in the summaries where there are any: over seeds and categories single jobs
    do not compare.
    """
    metrics = metric_names(rows)
    summaries = list(_summaries(rows, metrics, mark=bold))
    parts = [f"# Comparison of {counted(rows)}"]
    if with_result(rows):
        mark = unmarked if summaries else bold
        parts.append(piped(_job_table(rows, metrics, mark=mark, name=str)))
    for title, summary in summaries:
        parts += [f"## {title}", piped(summary)]
    parts.append(f"![image AUROC, pixel AUROC and AUPRO by setting]({picture})")
    lost = [[row.name, row.job.status, row.job.reason] for row in without_result(rows)]
    if lost:
        parts += ["## Jobs without a result", piped([["job", "status", "reason"], *lost])]
    return "\n\n".join(parts) + "\n"


def counted(rows: Sequence[Row]) -> str:
    """As "4 jobs: 3 finished, 1 failed"."""
    states = [row.job.status for row in rows]
    each = [f"{states.count(state)} {state}" for state in sorted(set(states), key=_finished_first)]
    return f"{len(rows)} job{'s' if len(rows) > 1 else ''}: {', '.join(each)}"


def without_result(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.job.status != FINISHED]


def _finished_first(state: str) -> tuple[bool, str]:
    return (state != FINISHED, state)


def _job_table(
    rows: Sequence[Row], metrics: Sequence[str], *, mark: Mark, name: Callable[[str], str]
) -> Table:
    done = with_result(rows)
    columns = {"job": [name(row.name) for row in done]}
    for key in done[0].setting if done else ():
        columns[key] = [value_text(row.setting[key]) for row in done]
    for metric in metrics:
        values = [row.job.metrics.get(metric, math.nan) for row in done]
        columns[metric] = figures(metric, values, mark)
    for cost, form in COST_FORMS.items():
        columns[cost] = [figure(row.cost(cost), form) for row in done]
    columns["reused"] = ["yes" if row.reused else "no" for row in done]
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _summaries(
    rows: Sequence[Row], metrics: Sequence[str], mark: Mark
) -> Iterator[tuple[str, Table]]:
    """Title and table of what there is to say over seeds and over categories."""
    if spreads := over_seeds(rows):
        yield "Over n seeds: mean ± sample standard deviation", _seed_table(spreads, metrics, mark)
    if (table := over_categories(rows)) is not None:
        title = f"Over categories, per cent: {' / '.join(table.metrics)}"
        partial = any(len(table.complete(one)) < len(table.categories) for one in table.metrics)
        yield f"{title}. {PARTIAL}" if partial else title, _paper_table(table, mark)


def _seed_table(spreads: Sequence[Spread], metrics: Sequence[str], mark: Mark) -> Table:
    columns = {
        "setting": [one.setting for one in spreads],
        "n": [str(one.count) for one in spreads],
    }
    for metric in metrics:
        cells = figures(metric, [one.mean[metric] for one in spreads], mark)
        columns[metric] = [
            cell if math.isnan(one.std[metric]) else f"{cell} ± {one.std[metric]:.4f}"
            for cell, one in zip(cells, spreads, strict=True)
        ]
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _paper_table(table: PaperTable, mark: Mark) -> Table:
    """Cells such as "98.9 / 97.1 / 93.0", the best of a line marked metric by metric."""
    lines = {
        category: [
            [table.figures.get((category, one, metric)) for one in table.settings]
            for metric in table.metrics
        ]
        for category in table.categories
    }
    lines["mean"] = [
        [table.mean(one, metric) for one in table.settings] for metric in table.metrics
    ]
    cells = {
        name: [
            figures(metric, values, mark, ".1%")
            for metric, values in zip(table.metrics, line, strict=True)
        ]
        for name, line in lines.items()
    }
    joined = [
        [name, *(" / ".join(cell) for cell in zip(*line, strict=True))]
        for name, line in cells.items()
    ]
    return [["category", *table.settings], *joined]


def _short(job: str) -> str:
    parts = job.split("/")
    return "/".join(one if len(one) <= LONGEST_JOB else f"{one[:LONGEST_JOB]}…" for one in parts)

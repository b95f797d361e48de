"""A comparison as text: a table for the terminal, and a Markdown page."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

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
    CATEGORY,
    HEADLINES,
    SETTING,
    Row,
    complete,
    mean,
    metric_names,
    over_categories,
    over_seeds,
    value_text,
    with_result,
)
from rdad.sweep.jobs import COSTS, FINISHED

if TYPE_CHECKING:
    import pandas as pd

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
        parts.append(_page_table(_job_table(rows, metrics, mark=mark, name=str)))
    for title, summary in summaries:
        parts += [f"## {title}", _page_table(summary)]
    parts.append(f"![image AUROC, pixel AUROC and AUPRO by setting]({picture})")
    lost = [[row.name, row.job.status, row.job.reason] for row in without_result(rows)]
    if lost:
        parts += ["## Jobs without a result", _page_table([["job", "status", "reason"], *lost])]
    return "\n\n".join(parts) + "\n"


def counted(rows: Sequence[Row]) -> str:
    """As "4 jobs: 3 finished, 1 failed"."""
    states = [row.job.status for row in rows]
    in_order = sorted(set(states), key=lambda state: (state != FINISHED, state))
    each = [f"{states.count(state)} {state}" for state in in_order]
    return f"{len(rows)} job{'s' if len(rows) > 1 else ''}: {', '.join(each)}"


def without_result(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.job.status != FINISHED]


def _page_table(table: Table) -> str:
    """Names and reasons are text, also where they look like HTML."""
    return piped([[escape(cell, quote=False) for cell in line] for line in table])


def _table(columns: Mapping[str, Sequence[str]]) -> Table:
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _job_table(
    rows: Sequence[Row], metrics: Sequence[str], *, mark: Mark, name: Callable[[str], str]
) -> Table:
    """Of the jobs with a result, of which there must be one."""
    done = with_result(rows)
    columns = {"job": [name(row.name) for row in done]}
    for key in done[0].setting:
        columns[key] = [value_text(row.setting[key]) for row in done]
    for metric in metrics:
        values = [row.job.metrics.get(metric, math.nan) for row in done]
        columns[metric] = figures(metric, values, mark)
    for cost, form in COST_FORMS.items():
        columns[cost] = [figure(row.job.costs[cost], form) for row in done]
    columns["reused"] = ["yes" if row.job.reused else "no" for row in done]
    return _table(columns)


def _summaries(
    rows: Sequence[Row], metrics: Sequence[str], mark: Mark
) -> Iterator[tuple[str, Table]]:
    """Title and table of what there is to say over seeds and over categories."""
    if (spread := over_seeds(rows)) is not None:
        yield "Over n seeds: mean ± sample standard deviation", _seed_table(spread, metrics, mark)
    if (means := over_categories(rows)) is not None:
        title = f"Over categories, per cent: {' / '.join(means)}"
        count = means.index.unique(CATEGORY).size
        partial = any(len(complete(means, metric)) < count for metric in means)
        yield f"{title}. {PARTIAL}" if partial else title, _paper_table(means, mark)


def _seed_table(spread: "pd.DataFrame", metrics: Sequence[str], mark: Mark) -> Table:
    columns = {"setting": list(spread.index), "n": list(map(str, spread["n"]))}
    for metric in metrics:
        cells = figures(metric, list(spread["mean", metric]), mark)
        columns[metric] = [
            cell if math.isnan(deviation) else f"{cell} ± {deviation:.4f}"
            for cell, deviation in zip(cells, spread["std", metric], strict=True)
        ]
    return _table(columns)


def _paper_table(means: "pd.DataFrame", mark: Mark) -> Table:
    """Cells such as "98.9 / 97.1 / 93.0", the best of a line marked metric by metric."""
    settings = means.index.unique(SETTING)
    lines = {
        category: {
            metric: [means[metric].get((category, one)) for one in settings] for metric in means
        }
        for category in sorted(means.index.unique(CATEGORY))
    }
    whole = {metric: complete(means, metric) for metric in means}
    lines["mean"] = {metric: [mean(whole[metric][one]) for one in settings] for metric in means}
    table = [["category", *settings]]
    for name, line in lines.items():
        cells = [figures(metric, values, mark, ".1%") for metric, values in line.items()]
        table.append([name, *map(" / ".join, zip(*cells, strict=True))])
    return table


def _short(job: str) -> str:
    parts = job.split("/")
    return "/".join(one if len(one) <= LONGEST_JOB else f"{one[:LONGEST_JOB]}…" for one in parts)

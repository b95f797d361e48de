"""A comparison as text: a table for the terminal, and a Markdown page."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from shutil import get_terminal_size
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
from rdad.sweep.answer import answer
from rdad.sweep.comparison import (
    CATEGORY,
    HEADLINES,
    SETTING,
    best_first,
    category_means,
    complete,
    job_name,
    metric_names,
    over_categories,
    over_seeds,
    value_text,
)
from rdad.sweep.jobs import COSTS, FINISHED, Job

if TYPE_CHECKING:
    import pandas as pd

COST_FORMS = dict(zip(COSTS, (".1f", ".1f", ".0f"), strict=True))
LONGEST_TABLE, NARROWEST_NAME = 20, 16
PIPED = (100, 24)  # the size of what is no terminal
OVER_CATEGORIES = "Over categories"
PARTIAL = "The mean is over the categories in which every setting has the metric."


def terminal(jobs: Sequence[Job], width: int | None = None) -> str:
    """What varies and the headline metrics, best first, and the answer; the files have the rest.

    Args:
        width: Columns that there are; None asks the terminal.
    """
    width = width or get_terminal_size(PIPED).columns
    metrics, done = metric_names(jobs, HEADLINES), [job for job in jobs if job.finished]
    tables = _summaries(jobs, metrics, starred)
    if done and (not tables or len(done) <= LONGEST_TABLE):
        mark = unmarked if tables else starred
        tables = {"": _varied_table(done, metrics, mark), **tables}
    if (means := over_categories(jobs)) is not None:
        title = next(one for one in tables if one.startswith(OVER_CATEGORIES))
        if _wide(tables[title]) > width:
            tables[title] = _mean_table(means, starred)
    parts = []
    for title, table in tables.items():
        parts += [title, aligned(_fitted(table[: LONGEST_TABLE + 1], width))]
        if len(table) > LONGEST_TABLE + 1:
            parts.append(f"… and {len(table) - 1 - LONGEST_TABLE} more, in the files")
    if any("*" in part for part in parts):
        parts.append("* the best")
    return "\n\n".join([*parts, *filter(None, [answer(jobs)])])


def markdown(jobs: Sequence[Job], *, picture: str) -> str:
    """All overall metrics, the best in bold, and why jobs have no result."""
    parts = [f"# Comparison of {counted(jobs)}", escape(answer(jobs), quote=False)]
    for title, table in _tables(jobs, metric_names(jobs), mark=bold).items():
        parts += [f"## {title}", _page_table(table)] if title else [_page_table(table)]
    parts.append(f"![image AUROC, pixel AUROC and AUPRO by setting]({picture})")
    lost = [[job.name, job.status, job.reason] for job in jobs if not job.finished]
    if lost:
        parts += ["## Jobs without a result", _page_table([["job", "status", "reason"], *lost])]
    return "\n\n".join(filter(None, parts)) + "\n"


def counted(jobs: Sequence[Job]) -> str:
    """As "4 jobs: 3 finished, 1 failed"; says of runs that differ in nothing which one counts."""
    states = [job.status for job in jobs]
    in_order = sorted(set(states), key=lambda state: (state != FINISHED, state))
    each = [f"{states.count(state)} {state}" for state in in_order]
    done = [tuple(job.setting.values()) for job in jobs if job.finished]
    alike = len(done) - len({*done})
    note = f"; {alike} differ in no setting from a later one, which counts" if alike else ""
    return f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}: {', '.join(each)}{note}"


def _page_table(table: Table) -> str:
    """Names and reasons are text, also where they look like HTML."""
    return piped([[escape(cell, quote=False) for cell in line] for line in table])


def _table(columns: Mapping[str, Sequence[str]]) -> Table:
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _tables(jobs: Sequence[Job], metrics: Sequence[str], *, mark: Mark) -> dict[str, Table]:
    """By title; that of the jobs, which have a result, has none.

    The best is marked in the summaries where there are any: over seeds and categories single jobs
    do not compare.
    """
    summaries = _summaries(jobs, metrics, mark)
    done = [job for job in jobs if job.finished]
    own = {"": _job_table(done, metrics, unmarked if summaries else mark)} if done else {}
    return own | summaries


def _summaries(jobs: Sequence[Job], metrics: Sequence[str], mark: Mark) -> dict[str, Table]:
    summaries = {}
    if (spread := over_seeds(jobs)) is not None:
        title = "Over n seeds: mean ± sample standard deviation"
        summaries[title] = _seed_table(spread, metrics, mark)
    if (means := over_categories(jobs)) is not None:
        title = f"{OVER_CATEGORIES}, per cent: {' / '.join(map(str, means))}"
        count = means.index.unique(CATEGORY).size
        partial = any(len(complete(means, str(metric))) < count for metric in means)
        summaries[f"{title}. {PARTIAL}" if partial else title] = _paper_table(means, mark)
    return summaries


def _varied_table(jobs: Sequence[Job], metrics: Sequence[str], mark: Mark) -> Table:
    """Jobs by what tells them apart, best first."""
    jobs = best_first(jobs)
    columns = {"setting": [job_name(job) for job in jobs]}
    for metric in metrics:
        values = [job.metrics.get(metric, math.nan) for job in jobs]
        columns[metric] = figures(metric, values, mark)
    return _table(columns)


def _job_table(jobs: Sequence[Job], metrics: Sequence[str], mark: Mark) -> Table:
    jobs = best_first(jobs)
    columns = {"job": [job.name for job in jobs]}
    for key in jobs[0].setting:
        columns[key] = [value_text(job.setting[key]) for job in jobs]
    for metric in metrics:
        values = [job.metrics.get(metric, math.nan) for job in jobs]
        columns[metric] = figures(metric, values, mark)
    for cost, form in COST_FORMS.items():
        columns[cost] = [figure(job.costs[cost], form) for job in jobs]
    columns["reused"] = ["yes" if job.reused else "no" for job in jobs]
    return _table(columns)


def _seed_table(spread: "pd.DataFrame", metrics: Sequence[str], mark: Mark) -> Table:
    first = ("mean", metrics[0]) if metrics else ("n", "")
    spread = spread.sort_values(first, ascending=False, kind="stable")
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
    categories = sorted(means.index.unique(CATEGORY))
    lines = [(category, means.loc[category]) for category in categories]
    table = [["category", *settings]]
    for name, line in [*lines, ("mean", category_means(means))]:
        cells = [
            figures(str(metric), [line[metric].get(one) for one in settings], mark, ".1%")
            for metric in means
        ]
        table.append([name, *map(" / ".join, zip(*cells, strict=True))])
    return table


def _mean_table(means: "pd.DataFrame", mark: Mark) -> Table:
    """The last line of the paper's table, a line a setting, best first."""
    whole = category_means(means)
    whole = whole.sort_values(whole.columns[0], ascending=False, kind="stable")
    columns = {"mean of": list(whole.index)}
    for metric in map(str, whole):
        columns[metric] = figures(metric, list(whole[metric]), mark, ".1%")
    return _table(columns)


def _fitted(table: Table, width: int) -> Table:
    """The table no wider than that: its names are cut, then its last columns left out."""
    while len(table[0]) > 2 and _wide([line[1:] for line in table]) + 2 + NARROWEST_NAME > width:
        table = [line[:-1] for line in table]
    room = max(width - _wide([line[1:] for line in table]) - 2, NARROWEST_NAME)
    return [[_cut(line[0], room), *line[1:]] for line in table]


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 1]}…"


def _wide(table: Table) -> int:
    return max(map(len, aligned(table).splitlines()))

"""What the jobs of a sweep say together: rows, means over seeds, the table over categories."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdad.sweep.jobs import FINISHED, Job, Value, job_names, swept

if TYPE_CHECKING:
    import pandas as pd

HEADLINES = ("image_auroc", "pixel_auroc", "aupro")
SEED, CATEGORY, SETTING = "seed", "category", "setting"
PLAIN = ("dataset", "category", "backbone", "mode", "layers", "loss", "experiment", "trainer")
"""Parameters whose values speak for themselves; others are named beside their value."""


@dataclass(frozen=True)
class Row:
    """A job and what tells it from the others."""

    name: str
    setting: Mapping[str, Value | None]
    job: Job

    def setting_name(self, without: Sequence[str] = ()) -> str:
        """As "resnet18, add, sigma 4.0"."""
        named = (
            value_text(value) if key in PLAIN else f"{key} {value_text(value)}"
            for key, value in self.setting.items()
            if key not in without
        )
        return ", ".join(named) or "all jobs"


def value_text(value: Value | None) -> str:
    """A parameter for people; a dash where it is not known."""
    if isinstance(value, float):
        return format(value, ".4g")
    return "-" if value is None else str(value)


def compared(jobs: Sequence[Job]) -> list[Row]:
    """The jobs as rows of one table."""
    columns = swept(jobs)
    values = zip(*columns.values(), strict=True) if columns else [()] * len(jobs)
    settings = [dict(zip(columns, row, strict=True)) for row in values]
    return [Row(*parts) for parts in zip(job_names(jobs), settings, jobs, strict=True)]


def with_result(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.job.status == FINISHED]


def metric_names(rows: Iterable[Row], among: Sequence[str] | None = None) -> list[str]:
    """The metrics that a row has, in their usual order."""
    found = dict.fromkeys(name for row in rows for name in row.job.metrics)
    return [name for name in (found if among is None else among) if name in found]


def results(rows: Sequence[Row], *, without: Sequence[str]) -> "pd.DataFrame":
    """Setting, category, seed and metrics of each job that has a result.

    Of rows that are alike, as from two sweeps, the last counts.

    Args:
        without: What is no part of a setting.
    """
    import pandas as pd

    names: dict[tuple[Value | None, ...], str] = {}
    lines = []
    for row in {tuple(row.setting.values()): row for row in with_result(rows)}.values():
        setting = tuple(value for key, value in row.setting.items() if key not in without)
        if setting not in names:
            name = row.setting_name(without)
            names[setting] = f"{name} ({len(names)})" if name in names.values() else name
        apart = {key: str(row.setting.get(key)) for key in (CATEGORY, SEED)}
        lines.append({SETTING: names[setting], **apart, **row.job.metrics})
    return pd.DataFrame(lines, columns=[SETTING, CATEGORY, SEED, *metric_names(rows)])


def over_seeds(rows: Sequence[Row]) -> "pd.DataFrame | None":
    """By setting: `n`, and of each metric (`mean`, metric) and (`std`, metric).

    The sample standard deviation is nan for one seed, and both are where a metric is undefined for
    a seed. None where no setting has two seeds.
    """
    import pandas as pd

    groups = results(rows, without=[SEED]).groupby(SETTING, sort=False)
    if max(groups[SEED].nunique(), default=0) < 2:
        return None
    metrics = groups[metric_names(rows)]
    parts = {
        "n": groups.size().to_frame(""),
        "mean": metrics.agg(mean),
        "std": metrics.agg(lambda values: values.std(skipna=False)),
    }
    return pd.concat(parts, axis=1)


def over_categories(rows: Sequence[Row]) -> "pd.DataFrame | None":
    """The table of papers: by category and setting the headline metrics, means over seeds.

    None without several categories.
    """
    import pandas as pd

    jobs, metrics = results(rows, without=[SEED, CATEGORY]), metric_names(rows, HEADLINES)
    if len(set(jobs[CATEGORY])) < 2 or not metrics:
        return None
    return pd.DataFrame(jobs.groupby([CATEGORY, SETTING], sort=False)[metrics].agg(mean))


def complete(table: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Categories down, settings across: the categories in which every setting has the metric."""
    import pandas as pd

    return pd.DataFrame(table[metric].unstack(SETTING)).dropna()


def mean(values: Iterable[float]) -> float:
    """Nan of nothing, and where one value is nan."""
    found = list(values)
    return statistics.fmean(found) if found else math.nan

"""What the jobs of a sweep say together: rows, means over seeds, the table over categories."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rdad.sweep.jobs import FINISHED, Job, Value, job_names, swept

HEADLINES = ("image_auroc", "pixel_auroc", "aupro")
COSTS = ("train_seconds", "images_per_second", "peak_memory_mib")
SEED, CATEGORY = "seed", "category"
MEBIBYTE = 1024**2
PLAIN = ("dataset", "category", "backbone", "mode", "layers", "loss", "experiment", "trainer")
"""Parameters whose values speak for themselves; others are named beside their value."""


@dataclass(frozen=True)
class Row:
    """A job and what tells it from the others."""

    name: str
    setting: Mapping[str, Value | None]
    job: Job

    def cost(self, name: str) -> float:
        """train_seconds, images_per_second or peak_memory_mib; nan without a result."""
        if self.job.status != FINISHED:
            return math.nan
        if name == "peak_memory_mib":
            return self.job.record.get("peak_memory_bytes", math.nan) / MEBIBYTE
        return self.job.record.get(name, math.nan)

    @property
    def reused(self) -> bool:
        """Whether the training, and so its seconds, were another run's."""
        return self.job.record.get("reused_from") is not None

    def setting_name(self, without: Sequence[str] = ()) -> str:
        """As "resnet18, add, sigma 4.0"."""
        named = (
            value_text(value) if key in PLAIN else f"{key} {value_text(value)}"
            for key, value in self.setting.items()
            if key not in without
        )
        return ", ".join(named) or "all jobs"


@dataclass(frozen=True)
class Spread:
    """One setting over seeds.

    Attributes:
        mean, std: By metric; the sample standard deviation is nan for one seed.
    """

    setting: str
    count: int
    mean: Mapping[str, float]
    std: Mapping[str, float]


@dataclass(frozen=True)
class PaperTable:
    """Categories down, settings across; `figures[category, setting, metric]` where there is one."""

    categories: Sequence[str]
    settings: Sequence[str]
    metrics: Sequence[str]
    figures: Mapping[tuple[str, str, str], float]

    def mean(self, setting: str, metric: str) -> float:
        """Over the categories in which every setting has the metric."""
        return mean(self.figures[one, setting, metric] for one in self.complete(metric))

    def complete(self, metric: str) -> list[str]:
        """The categories in which every setting has the metric."""
        return [
            category
            for category in self.categories
            if all(
                not math.isnan(self.figures.get((category, one, metric), math.nan))
                for one in self.settings
            )
        ]


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


def over_seeds(rows: Sequence[Row]) -> list[Spread]:
    """Each setting that has a result; nothing where no setting has two seeds.

    A metric that is undefined for one seed is undefined for the setting.
    """
    groups = grouped(rows, without=[SEED])
    if not any(len({row.setting.get(SEED) for row in group}) > 1 for group in groups.values()):
        return []
    return [_spread(setting, group, metric_names(rows)) for setting, group in groups.items()]


def over_categories(rows: Sequence[Row]) -> PaperTable | None:
    """The table of papers; a figure is the mean over seeds. None without several categories."""
    done = with_result(rows)
    categories = sorted({str(row.setting[CATEGORY]) for row in done if CATEGORY in row.setting})
    if len(categories) < 2:
        return None
    groups = grouped(rows, without=[SEED, CATEGORY])
    metrics = metric_names(rows, HEADLINES)
    figures = {}
    for setting, group in groups.items():
        for category in {row.setting[CATEGORY] for row in group}:
            jobs = [row.job.metrics for row in group if row.setting[CATEGORY] == category]
            for metric in metrics:
                values = (found.get(metric, math.nan) for found in jobs)
                figures[str(category), setting, metric] = mean(values)
    return PaperTable(categories, list(groups), metrics, figures)


def grouped(rows: Sequence[Row], without: Sequence[str]) -> dict[str, list[Row]]:
    """Rows with a result by setting; of rows that are alike, as from two sweeps, the last."""
    groups: dict[tuple[Value | None, ...], dict[tuple[Value | None, ...], Row]] = {}
    for row in with_result(rows):
        setting = tuple(value for key, value in row.setting.items() if key not in without)
        groups.setdefault(setting, {})[tuple(row.setting.values())] = row
    named: dict[str, list[Row]] = {}
    for group in groups.values():
        members = list(group.values())
        name = members[0].setting_name(without)
        named[f"{name} ({len(named)})" if name in named else name] = members
    return named


def mean(values: Iterable[float]) -> float:
    """Nan of nothing, and where one value is nan."""
    found = list(values)
    return statistics.fmean(found) if found else math.nan


def _spread(setting: str, group: Sequence[Row], metrics: Sequence[str]) -> Spread:
    values = {name: [row.job.metrics.get(name, math.nan) for row in group] for name in metrics}
    deviations = {
        name: math.nan if len(one) < 2 or math.isnan(sum(one)) else statistics.stdev(one)
        for name, one in values.items()
    }
    return Spread(
        setting, len(group), {name: mean(one) for name, one in values.items()}, deviations
    )

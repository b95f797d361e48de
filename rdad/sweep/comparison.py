"""What the jobs of a sweep say together: a line a job, means over seeds and over categories."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.sweep.jobs import Job, Value, read_jobs

if TYPE_CHECKING:
    import pandas as pd

TITLES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
HEADLINES = tuple(TITLES)
OF_CATEGORIES = (
    *HEADLINES,
    *("seg_f1", "image_auroc_group_mean", "au_spro", "au_spro_group_mean"),
)
"""What data sets are compared by as a mean over their categories."""
SEED, CATEGORY, SETTING = "seed", "category", "setting"
PLAIN = ("dataset", "category", "backbone", "mode", "layers", "loss", "experiment", "trainer")
"""Parameters whose values speak for themselves; others are named beside their value."""
BETWEEN = " · "  # what a setting's name is made of


def compare_runs(*sweep_dirs: str | Path) -> "pd.DataFrame":
    """One row a job, named after its folder.

    Returns:
        First what was varied, one column each; then the overall metrics, as image_auroc, nan
        where undefined or not reached; train_seconds, images_per_second and peak_memory_mib;
        reused (the training, and so its seconds, were another run's); status; reason, where a
        job has no result.

    Raises:
        FileNotFoundError: a folder is not there, or holds no run.
    """
    import pandas as pd

    return pd.DataFrame(job_lines(read_jobs(map(Path, sweep_dirs)))).set_index("job")


def job_lines(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """What the frame and the CSV file hold of each job, by column."""
    metrics = metric_names(jobs)
    return [
        {
            "job": job.name,
            **job.setting,
            **{name: job.metrics.get(name, math.nan) for name in metrics},
            **job.costs,
            "reused": job.reused,
            "status": job.status,
            "reason": job.reason,
        }
        for job in jobs
    ]


def setting_name(setting: Mapping[str, Value | None], without: Sequence[str]) -> str:
    """As "resnet18 · add · sigma 4"."""
    named = (
        value_text(value) if key in PLAIN else f"{key} {value_text(value)}"
        for key, value in setting.items()
        if key not in without
    )
    return BETWEEN.join(named) or "all jobs"


def job_name(job: Job) -> str:
    """What tells it from the others; its folder, where nothing does."""
    return setting_name(job.setting, without=()) if job.setting else job.name


def value_text(value: Value | None) -> str:
    """A parameter for people; a dash where it is not known."""
    if isinstance(value, float):
        return format(value, ".4g")
    return "-" if value is None else str(value)


def metric_names(jobs: Iterable[Job], among: Sequence[str] | None = None) -> list[str]:
    """The metrics that a job has, in their usual order."""
    found = dict.fromkeys(name for job in jobs for name in job.metrics)
    return [name for name in (found if among is None else among) if name in found]


def best_first(jobs: Iterable[Job]) -> list[Job]:
    """By the first headline metric that each has; those without any last."""

    def worth(job: Job) -> float:
        values = [job.metrics.get(name, math.nan) for name in HEADLINES]
        return next((value for value in values if not math.isnan(value)), -math.inf)

    return sorted(jobs, key=worth, reverse=True)


def results(jobs: Sequence[Job], *, without: Sequence[str]) -> "pd.DataFrame":
    """Setting, category, seed and metrics of each job that has a result.

    Of jobs that are alike, as from two sweeps, the last counts.

    Args:
        without: What is no part of a setting.
    """
    import pandas as pd

    names: dict[tuple[Value | None, ...], str] = {}
    lines = []
    for job in {tuple(job.setting.values()): job for job in jobs if job.finished}.values():
        setting = tuple(value for key, value in job.setting.items() if key not in without)
        if setting not in names:
            name = setting_name(job.setting, without)
            names[setting] = f"{name} ({len(names)})" if name in names.values() else name
        apart = {key: str(job.setting.get(key)) for key in (CATEGORY, SEED)}
        lines.append({SETTING: names[setting], **apart, **job.metrics})
    return pd.DataFrame(lines, columns=[SETTING, CATEGORY, SEED, *metric_names(jobs)])


def over_seeds(jobs: Sequence[Job]) -> "pd.DataFrame | None":
    """By setting: `n`, and of each metric (`mean`, metric) and (`std`, metric).

    The sample standard deviation is nan for one seed, and both are where a metric is undefined for
    a seed. None where no setting has two seeds.
    """
    import pandas as pd

    groups = results(jobs, without=[SEED]).groupby(SETTING, sort=False)
    if max(groups[SEED].nunique(), default=0) < 2:
        return None
    metrics = groups[metric_names(jobs)]
    parts = {
        "n": groups.size().to_frame(""),
        "mean": metrics.agg(mean),
        "std": metrics.agg(lambda values: values.std(skipna=False)),
    }
    return pd.concat(parts, axis=1)


def over_categories(jobs: Sequence[Job]) -> "pd.DataFrame | None":
    """The table of papers: by category and setting its metrics, means over seeds.

    None without several categories.
    """
    import pandas as pd

    table, metrics = results(jobs, without=[SEED, CATEGORY]), metric_names(jobs, OF_CATEGORIES)
    if len(set(table[CATEGORY])) < 2 or not metrics:
        return None
    return pd.DataFrame(table.groupby([CATEGORY, SETTING], sort=False)[metrics].agg(mean))


def complete(table: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Categories down, settings across: the categories in which every setting has the metric."""
    import pandas as pd

    return pd.DataFrame(table[metric].unstack(SETTING)).dropna()


def category_means(table: "pd.DataFrame") -> "pd.DataFrame":
    """By setting, of each metric over the categories in which every setting has it."""
    import pandas as pd

    means = {metric: complete(table, str(metric)).agg(mean) for metric in table}
    return pd.DataFrame(means, index=table.index.unique(SETTING))


def mean(values: Iterable[float]) -> float:
    """Nan of nothing, and where one value is nan."""
    found = list(values)
    return statistics.fmean(found) if found else math.nan

"""How far each setting of one or several sweeps is from one of them, paired over data and seeds."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rdad.results.text_table import Table, aligned
from rdad.runs.files import read_history, resolved
from rdad.sweep.answer import paired_interval
from rdad.sweep.comparison import BETWEEN, CATEGORY, SEED, mean, metric_names, setting_name
from rdad.sweep.jobs import Job, Value, renames

METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")
REACHED = "aupro"
SECONDS = "train_seconds"
Cell = tuple[Path, str, str]  # the sweep's folder, category, seed
NOTE = (
    "Differences are means over pairs of jobs of one sweep, category and seed, with their 95 % "
    "interval of Student's t; * where it leaves out 0. steps: the share of the steps after which "
    f"the watched {REACHED} had reached what the setting compared with has at its end, of those "
    "jobs that reached it (dataset.validation=test watches)."
)


@dataclass(frozen=True)
class Difference:
    """Of a setting from the one that all are held against.

    Attributes:
        pairs: How many jobs had a partner.
        metrics: By metric the differences of the pairs in which both have it.
        seconds: The pairs' ratios of training seconds; a reused training's are its first run's.
        reached: The share of its steps after which a job had the partner's last AUPRO; nan for
            one that never had it. Empty where nothing was watched.
    """

    setting: str
    pairs: int
    metrics: Mapping[str, Sequence[float]]
    seconds: Sequence[float]
    reached: Sequence[float]


def differences(
    jobs: Sequence[Job], folders: Sequence[Path], against: str
) -> tuple[dict[str, float], list[Difference]]:
    """The means of the setting called `against`, and the difference of each one from it.

    Settings are what varies within a folder, but for category and seed; what differs between
    folders, as their data sets and the lengths that these need do, is no part of a setting.

    Args:
        folders: Of the sweeps.

    Raises:
        ValueError: no finished job has that setting; the message names those that there are.
    """
    cells = _cells([job for job in jobs if job.finished], folders)
    if against not in cells:
        raise ValueError(
            f"against={against}: no finished job is called so; there are "
            f"{', '.join(repr(name) for name in cells) or 'none'}, and published"
        )
    base, metrics = cells[against], metric_names(jobs, METRICS)
    means = {name: mean(_metric(job, name) for job in base.values()) for name in metrics}
    return means, [_difference(name, own, base, metrics) for name, own in cells.items()]


def table(means: Mapping[str, float], found: Sequence[Difference], against: str) -> str:
    """For the terminal: first the setting held against, then the others by what differs there."""
    columns = ["setting", "pairs", *means, "seconds", "steps"]
    lines: Table = [columns]
    for one in sorted(found, key=lambda one: one.setting != against):
        is_base = one.setting == against
        figures = [
            f"{means[name]:.4f}" if is_base else _figure(one.metrics[name]) for name in means
        ]
        seconds = f"{statistics.geometric_mean(one.seconds):.2f} x" if one.seconds else "-"
        name = one.setting if is_base else _apart(one.setting, against)
        lines.append([name, str(one.pairs), *figures, seconds, _share(one.reached)])
    return f"{aligned(lines)}\n\n{NOTE}"


def rows(found: Sequence[Difference]) -> tuple[list[str], list[list[str | float]]]:
    """Columns, and a row for each metric of each setting."""
    lines: list[list[str | float]] = []
    for one in found:
        for name, values in one.metrics.items():
            low, high = paired_interval(values) if len(values) > 1 else (math.nan, math.nan)
            lines.append([one.setting, name, len(values), mean(values), low, high])
    return ["setting", "metric", "pairs", "difference", "low", "high"], lines


def _cells(jobs: Sequence[Job], folders: Sequence[Path]) -> dict[str, dict[Cell, Job]]:
    """By setting, and by what a pair has in common; of jobs that are alike the last counts."""
    homes = [resolved(folder) for folder in folders]
    home = {
        job.folder: next(one for one in homes if resolved(job.folder).is_relative_to(one))
        for job in jobs
    }
    together = [[job for job in jobs if home[job.folder] == one] for one in dict.fromkeys(homes)]
    varied = _varied(together)
    cells: dict[str, dict[Cell, Job]] = {}
    for job in jobs:
        own = {key: value for key, value in job.setting.items() if key in varied}
        name = setting_name(own, without=[SEED, CATEGORY])
        place = (home[job.folder], str(own.get(CATEGORY)), str(own.get(SEED)))
        cells.setdefault(name, {})[place] = job
    return cells


def _varied(together: Sequence[Sequence[Job]]) -> list[str]:
    """Keys that vary within a folder, less those that only rename another such key.

    So the steps of a training are no part of a setting where they go with its batch size, also
    where each folder's data set has a number of its own.
    """
    kept: list[str] = []
    for key in dict.fromkeys(key for jobs in together for job in jobs for key in job.setting):
        folders = [jobs for jobs in together if len(set(_column(jobs, key))) > 1]
        renamed = any(
            all(renames(_column(jobs, key), _column(jobs, other)) for jobs in folders)
            for other in kept
            if other != SEED
        )
        if folders and not renamed:
            kept.append(key)
    return kept


def _column(jobs: Sequence[Job], key: str) -> list[Value | None]:
    return [job.setting.get(key) for job in jobs]


def _difference(
    setting: str, own: Mapping[Cell, Job], base: Mapping[Cell, Job], metrics: Sequence[str]
) -> Difference:
    pairs = [(job, base[place]) for place, job in own.items() if place in base]
    distances = {
        name: _known(_metric(job, name) - _metric(other, name) for job, other in pairs)
        for name in metrics
    }
    seconds = [(job.costs[SECONDS], other.costs[SECONDS]) for job, other in pairs]
    ratios = [one / other for one, other in seconds if one > 0 and other > 0]
    goals = [_reached(job, _metric(other, REACHED)) for job, other in pairs]
    reached = [one for one in goals if one is not None]
    return Difference(setting, len(pairs), distances, ratios, reached)


def _metric(job: Job, name: str) -> float:
    return job.metrics.get(name, math.nan)


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _reached(job: Job, goal: float) -> float | None:
    """The share of the job's epochs until its watched figure is the goal.

    Nan if it never is; None if it was not watched, or there is no goal.
    """
    history: list[dict[str, float]] = []
    with suppress(OSError, ValueError):  # a history that cannot be read is none
        history = read_history(job.folder)
    watched = [row for row in history if f"watch/{REACHED}" in row]
    if not watched or math.isnan(goal):
        return None
    first = (row["epoch"] for row in watched if row[f"watch/{REACHED}"] >= goal)
    return next(first, math.nan) / history[-1]["epoch"]


def _apart(setting: str, other: str) -> str:
    parts = setting.split(BETWEEN)
    return BETWEEN.join(part for part in parts if part not in other.split(BETWEEN))


def _figure(values: Sequence[float]) -> str:
    if not values:
        return "-"
    said = f"{statistics.fmean(values):+.4f}"
    if len(values) < 2:
        return said
    low, high = paired_interval(values)
    return f"{said} ({low:+.4f} to {high:+.4f}){'*' * (low > 0 or high < 0)}"


def _share(reached: Sequence[float]) -> str:
    """As "0.52", or "0.52 (5 of 6)" where not all came so far."""
    known = _known(reached)
    if not reached:
        return "-"
    said = f"{statistics.fmean(known):.2f}" if known else "never"
    return said if len(known) == len(reached) else f"{said} ({len(known)} of {len(reached)})"

"""A sweep over the categories of a public data set: papers' table, beside what is published."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rdad.data.readers.published import PUBLISHED
from rdad.runs.files import read_metrics
from rdad.runs.record import CONFIG_FILE, read_yaml
from rdad.sweep.comparison import CATEGORY, SEED, mean, setting_name
from rdad.sweep.jobs import Job
from rdad.sweep.published import MEAN, METRICS, Published, groups, published

SAID = ("dataset.category", "joint")
"""As `swept` names what says of which categories a job is: it is no part of the setting."""

ROUNDING = 0.05  # published figures have one decimal
CONFIDENCE = 0.95

Figures = Mapping[str, Sequence[float]]  # by metric, per cent: a value a seed


@dataclass(frozen=True)
class Line:
    """A category, or a mean over several.

    Attributes:
        name: As papers name it; a mean over fewer than all says so.
        figures: By metric a value a seed, in per cent.
        published: By metric, in per cent; empty where nothing is.
    """

    name: str
    figures: Figures
    published: Mapping[str, float]

    def mean(self, metric: str) -> float:
        """Over the seeds; nan where there is none, or one is undefined."""
        return mean(self.figures.get(metric, ()))

    def deviation(self, metric: str) -> float:
        """The sample standard deviation over the seeds; nan of one, or where one is undefined."""
        values = self.figures.get(metric, ())
        known = len(values) > 1 and not any(map(math.isnan, values))
        return statistics.stdev(values) if known else math.nan

    def difference(self, metric: str) -> float:
        """From the published figure; nan where there is none."""
        return self.mean(metric) - self.published.get(metric, math.nan)

    def verdict(self, metric: str) -> str:
        """Whether the published figure could be one more seed's: within, above, below or unknown.

        The bounds are those of a prediction interval of Student's t at 95 %, and the rounding of
        what is published.
        """
        from scipy.stats import t

        found, spread = self.difference(metric), self.deviation(metric)
        if math.isnan(found) or math.isnan(spread):
            return "unknown"
        seeds = len(self.figures[metric])
        widest = t.ppf((1 + CONFIDENCE) / 2, seeds - 1) * spread * math.sqrt(1 + 1 / seeds)
        if abs(found) <= widest + ROUNDING:
            return "within"
        return "above" if found > 0 else "below"


@dataclass(frozen=True)
class PaperTable:
    """One setting on one data set.

    Attributes:
        title: Data set, then setting.
        lines: Categories in their data set's order, then means of groups and of all.
        missing: Categories, or seeds of one, without a result, and why.
        sources: Where the published figures stand.
        seeds: How many at most.
    """

    title: str
    lines: tuple[Line, ...]
    missing: Mapping[str, str]
    sources: tuple[str, ...]
    seeds: int

    @property
    def metrics(self) -> list[str]:
        """Those that any line has, in the order of papers."""
        return [one for one in METRICS if any(one in line.figures for line in self.lines)]


def paper_tables(jobs: Sequence[Job]) -> list[PaperTable]:
    """A table for each setting of each data set of which several categories were asked for.

    A network for several categories is a line for each of them, in a table of such networks.
    """
    found: dict[tuple[str, str, bool], list[Job]] = {}
    for job in jobs:
        dataset = str(job.params.get("dataset") or job.changed.get("dataset") or "")
        setting = setting_name(job.setting, without=[SEED, CATEGORY, *SAID])
        categories = _joint_categories(job)
        one_each = [_of_category(job, name) for name in categories] or [job]
        found.setdefault((dataset, setting, bool(categories)), []).extend(one_each)
    tables = [_benchmark(dataset, setting, of) for (dataset, setting, _), of in found.items()]
    return [table for table in tables if table.lines]


def _joint_categories(job: Job) -> list[str]:
    """Those of one network for several; none for another, or where nothing says."""
    try:
        dataset: Any = read_yaml(job.folder / CONFIG_FILE)["dataset"]
        return [*map(str, dataset["category"])] if dataset.get("joint") else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _of_category(job: Job, category: str) -> Job:
    """A job of several categories as if it were one's, with the figures of that."""
    figures: dict[str, float] = {}
    if job.finished:
        ending = f"/{category}"
        figures = {
            name.removeprefix("test/").removesuffix(ending): value
            for name, value in read_metrics(job.folder).items()
            if name.endswith(ending) and name.count("/") == 2
        }
    return replace(job, params={**job.params, CATEGORY: category}, metrics=figures)


def _benchmark(dataset: str, setting: str, jobs: Sequence[Job]) -> PaperTable:
    asked = list(dict.fromkeys(map(_category, jobs)))
    if len(asked) < 2:
        return PaperTable(dataset, (), {}, (), 0)
    known = _known(dataset, jobs)
    order = list(dict.fromkeys([*PUBLISHED.get(dataset, {}), *asked]))
    done = [job for job in jobs if job.finished]
    by_category = {
        category: _by_seed(job for job in done if _category(job) == category) for category in order
    }
    results = {category: seeds for category, seeds in by_category.items() if seeds}
    lines = [
        Line(category, _figures(seeds.values()), known.figures.get(category, {}))
        for category, seeds in results.items()
    ]
    for name, members in {**groups(dataset, order), MEAN: order}.items():
        if any(one in results for one in members):
            lines.append(_mean(name, members, results, known))
    failed = {_category(job): job.reason for job in jobs if not job.finished}
    missing = {one: failed.get(one, "not in the sweep") for one in order if one not in results}
    for job in jobs:
        category, seed = _category(job), _seed(job)
        if not job.finished and category in results and seed not in results[category]:
            which = f"with seed {seed}" if seed else f"in job {job.name}"
            missing[f"{category} {which}"] = job.reason
    said = [dataset, *([] if setting == "all jobs" else [setting])]
    title = ", ".join([*said, *(["one network for all"] if _joint_categories(jobs[0]) else [])])
    seeds = max(map(len, results.values()), default=0)
    return PaperTable(title, tuple(lines), missing, known.sources, seeds)


def _known(dataset: str, jobs: Sequence[Job]) -> Published:
    """What is published by the definitions of the first job whose configuration can be read."""
    for job in jobs:
        try:
            cfg: Any = read_yaml(job.folder / CONFIG_FILE)
            kind, limit = cfg["evaluation"]["aupro"], float(cfg["evaluation"]["fpr_limit"])
            setting = "joint" if cfg["dataset"].get("joint") else "one_class"
            return published(dataset, setting, aupro=kind, fpr_limit=limit)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return Published()


def _category(job: Job) -> str:
    return str(job.params.get(CATEGORY) or job.changed.get("dataset.category") or "")


def _by_seed(jobs: Iterable[Job]) -> dict[str, Mapping[str, float]]:
    """Metrics by seed; of jobs that are alike the last counts."""
    return {_seed(job): job.metrics for job in jobs}


def _seed(job: Job) -> str:
    """As text: a job that failed early knows it from the command line alone, or not at all ("")."""
    return str(job.params.get(SEED, job.changed.get(SEED, "")))


def _figures(results: Iterable[Mapping[str, float]]) -> Figures:
    rows = list(results)
    return {
        metric: [100 * row[metric] for row in rows]
        for metric in METRICS
        if rows and all(metric in row for row in rows)
    }


def _mean(
    name: str,
    members: Sequence[str],
    results: Mapping[str, Mapping[str, Mapping[str, float]]],
    known: Published,
) -> Line:
    """Seed by seed over the categories, in the seeds that all of them have."""
    there = [one for one in members if one in results]
    seeds = [
        seed for seed in results[there[0]] if all(seed in results[category] for category in there)
    ]
    rows = []
    for seed in seeds:
        each = [results[category][seed] for category in there]
        shared = [metric for metric in METRICS if all(metric in one for one in each)]
        rows.append({metric: statistics.fmean(one[metric] for one in each) for metric in shared})
    if len(there) < len(members):
        name = f"{name} ({len(there)} of {len(members)})"
    return Line(name, _figures(rows), _published_mean(there, members, name, known))


def _published_mean(
    there: Sequence[str], members: Sequence[str], name: str, known: Published
) -> Mapping[str, float]:
    """That of all categories as it is published; else of the same categories, where each is."""
    each = [known.figures.get(category, {}) for category in there]
    made = {
        metric: statistics.fmean(one[metric] for one in each)
        for metric in METRICS
        if all(metric in one for one in each)
    }
    return made | known.figures.get(MEAN, {}) if name == MEAN else made

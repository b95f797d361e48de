"""What a sweep answers in a sentence: its best setting, and whether seeds tell it from the next."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from rdad.sweep.comparison import CATEGORY, HEADLINES, SEED, SETTING, TITLES, mean, results
from rdad.sweep.jobs import Job

CONFIDENCE = 0.95
Cells = Mapping[tuple[str, str], float]  # by category and seed


def answer(jobs: Sequence[Job]) -> str:
    """By the first headline metric that any job has; empty where none has a result."""
    table = results(jobs, without=[SEED, CATEGORY])
    known = [one for one in HEADLINES if one in table and bool(table[one].notna().any())]
    if not known:
        return ""
    cells: dict[str, dict[tuple[str, str], float]] = {}
    columns = (table[name] for name in (SETTING, CATEGORY, SEED, known[0]))
    for setting, category, seed, value in zip(*columns, strict=True):
        if not math.isnan(value):
            cells.setdefault(setting, {})[category, seed] = value
    title = TITLES[known[0]]
    return _chosen(cells, title) if len(cells) > 1 else _alone(*cells.values(), title=title)


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Of the mean of differences, by Student's t; two or more are needed."""
    from scipy.stats import t  # slow to import

    count, centre = len(differences), statistics.fmean(differences)
    factor = float(t.ppf((1 + CONFIDENCE) / 2, count - 1))
    half = factor * statistics.stdev(differences) / math.sqrt(count)
    return centre - half, centre + half


def _chosen(cells: Mapping[str, Cells], title: str) -> str:
    shared = set.intersection(*map(set, cells.values()))  # what all settings have a figure for
    means = {setting: mean(own[one] for one in shared or own) for setting, own in cells.items()}
    best, second = sorted(means, key=lambda setting: -means[setting])[:2]
    distance = means[best] - means[second]
    above = f"{distance:.4f} above" if distance > 0 else "as good as"
    said = f"best: {best} with {title} {means[best]:.4f}, {above} {second}"
    by_seed = _by_seed(
        {one: cells[best][one] - cells[second][one] for one in cells[best] if one in cells[second]}
    )
    if len(by_seed) < 2:
        seeds = {seed for one in (best, second) for _, seed in cells[one]}
        few = "One seed" if len(seeds) == 1 else "Fewer than two seeds in common"
        return f"{said}. {few} cannot tell whether that is chance: seed=1,2,3 can."
    low, high = paired_interval(by_seed)
    tells = "more than chance" if low > 0 else "chance alone can do that"
    return (
        f"{said}. Paired over {len(by_seed)} seeds the difference lies in "
        f"{low:+.4f} to {high:+.4f} ({CONFIDENCE:.0%}): {tells}."
    )


def _alone(own: Cells, *, title: str) -> str:
    """Of one setting, there is nothing to choose."""
    by_seed, categories = _by_seed(own), len({category for category, _ in own})
    if not by_seed:
        return f"one setting: no seed has its {title} in all {categories} categories"
    said = f"{title} {statistics.fmean(by_seed):.4f}"
    if len(by_seed) > 1:
        said += f" ± {statistics.stdev(by_seed):.4f} over {len(by_seed)} seeds"
    if categories > 1:
        said += f", the mean of {categories} categories"
    return f"one setting: {said}"


def _by_seed(cells: Cells) -> list[float]:
    """A seed's mean over categories, of the seeds that have all of them."""
    categories = {category for category, _ in cells}
    seeds: Iterable[str] = dict.fromkeys(seed for _, seed in cells)
    whole = [seed for seed in seeds if all((one, seed) in cells for one in categories)]
    return [mean(cells[one, seed] for one in categories) for seed in whole]

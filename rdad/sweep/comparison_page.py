"""comparison.html: a sweep's answer, and the same images under each of its settings.

Scores are from the jobs' scores.csv, pictures from their report.html: nothing is drawn anew, the
images need not be there any more. What the folders hold may be anybody's, and is data here.
"""

import csv
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdad.results.report.page import Layout, write_page
from rdad.runs.files import REPORT_FILE, SCORES_FILE
from rdad.sweep.answer import answer
from rdad.sweep.comparison import (
    CATEGORY,
    TITLES,
    best_first,
    job_name,
    mean,
    metric_names,
    setting_name,
)
from rdad.sweep.jobs import Job

MOST_SETTINGS, MOST_IMAGES, MOST_ROWS = 12, 60, 500
MOST_CHARACTERS = 20_000_000  # of all pictures
LONGEST_PICTURE = 500_000
PICTURES = {"width": int, "height": int, "photograph": str, "outline": str}
STYLES, SCRIPTS = ("page.css", "comparison.css"), ("elements.js", "picture.js", "comparison.js")
LAYOUT = Layout("comparison.html", STYLES, SCRIPTS)


@dataclass
class Seen:
    """An image as the jobs scored it.

    Attributes:
        shown: Path, type and label, and with a report what PICTURES says.
        cells: By the setting's place: score, rank among its job's images, `called` defective or
            not, and with a report the heat map.
    """

    shown: dict[str, Any]
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def disagreement(self) -> float:
        """How far apart its ranks are, as a share of all; 1 more where verdicts differ."""
        shares = [cell["rank"] / cell["of"] for cell in self.cells.values()]
        verdicts = {cell["called"] for cell in self.cells.values()} - {None}
        return max(shares) - min(shares) + (len(verdicts) > 1)


def write_comparison_page(path: Path, jobs: Sequence[Job], *, plots: bytes) -> None:
    """Write the page: settings best first, images first on which they disagree, both bounded.

    Args:
        plots: A PNG.

    Raises:
        OSError: the page cannot be written.
    """
    done = [job for job in jobs if job.finished]
    settings = _settings(done)
    seen: dict[str, Seen] = {}
    columns = list(settings.values())[:MOST_SETTINGS]
    for place, column in enumerate(columns):
        for job in column:
            with suppress(OSError, ValueError, TypeError, KeyError, csv.Error):
                _add_scores(job, place, seen)
    first = sorted(seen, key=lambda key: (-seen[key].disagreement, key))[:MOST_IMAGES]
    chosen = {key: seen[key] for key in first}
    for place, column in enumerate(columns):
        for job in column:
            with suppress(OSError, ValueError):
                _add_pictures(job.folder / REPORT_FILE, place, chosen)
    metrics = metric_names(jobs, tuple(TITLES))
    facts = {
        "answer": answer(jobs),
        "metrics": [TITLES[name] for name in metrics],
        "rows": [
            [job_name(job), *(_finite(job.metrics.get(name, math.nan)) for name in metrics)]
            for job in best_first(done)[:MOST_ROWS]
        ],
        "jobs": len(jobs),
        "finished": len(done),
        "settings": list(settings)[:MOST_SETTINGS],
        "all_settings": len(settings),
        "all_images": len(seen),
        "plots": b64encode(plots).decode("ascii"),
    }
    write_page(path, "Comparison", facts, _within_bounds(chosen.values()), layout=LAYOUT)


def _settings(done: Sequence[Job]) -> dict[str, list[Job]]:
    """Jobs by what varies beside their category, the best first by the mean over those.

    A setting's jobs keep their order: of two that are alike the last one's scores are shown.
    """
    found: dict[str, list[Job]] = {}
    for job in done:
        found.setdefault(setting_name(job.setting, without=[CATEGORY]), []).append(job)

    def worth(name: str) -> float:
        value = mean(job.metrics.get("image_auroc", math.nan) for job in found[name])
        return -math.inf if math.isnan(value) else value

    return {name: found[name] for name in sorted(found, key=worth, reverse=True)}


def _add_scores(job: Job, place: int, seen: dict[str, Seen]) -> None:
    path, category = job.folder / SCORES_FILE, str(job.setting.get(CATEGORY) or "")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = [(float(row["score"]), row) for row in csv.DictReader(file)]
    rows.sort(key=lambda one: -math.inf if math.isnan(one[0]) else one[0], reverse=True)
    for rank, (score, row) in enumerate(rows, 1):
        kind = " ".join(filter(None, (row.get(CATEGORY) or category, row["defect_type"])))
        shown = {"path": row["image"], "type": kind, "label": int(row["label"])}
        called = {"1": True, "0": False}.get(row["predicted"])
        cell = {"score": _finite(score), "rank": rank, "of": len(rows), "called": called}
        seen.setdefault(row["image"], Seen(shown)).cells[place] = cell


def _add_pictures(path: Path, place: int, chosen: Mapping[str, Seen]) -> None:
    """From a report, in which each image is a line of JSON."""
    with path.open(encoding="ascii") as file:
        for line in file:
            if not line.startswith('{"'):
                continue
            image = json.loads(line.rstrip().removesuffix(","))
            one = chosen.get(str(image.get("path")))
            if one is None or place not in one.cells or not _is_sound(image):
                continue
            one.cells[place]["heat"] = image["heat"]
            if "photograph" not in one.shown:
                one.shown |= {key: image[key] for key in PICTURES}


def _is_sound(image: Mapping[str, Any]) -> bool:
    return all(
        isinstance(image.get(key), kind) and len(str(image[key])) <= LONGEST_PICTURE
        for key, kind in {**PICTURES, "heat": str}.items()
    )


def _within_bounds(images: Iterable[Seen]) -> Iterator[dict[str, Any]]:
    """Plain data, until there is no room for another's pictures."""
    left = MOST_CHARACTERS
    for image in images:
        pictures = [*image.shown.values(), *(cell.get("heat") for cell in image.cells.values())]
        left -= sum(len(one) for one in pictures if isinstance(one, str))
        if left < 0:
            return
        yield image.shown | {"cells": {str(place): cell for place, cell in image.cells.items()}}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

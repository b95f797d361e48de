"""report.html from what a test gathered."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rdad.results.gathered import Gathered
from rdad.results.report.contents import ReportSubject, contents
from rdad.results.report.page import write_page
from rdad.results.report.pictures import (
    draw_heat,
    draw_sample,
    photograph_side,
    region_path,
)
from rdad.runs.files import REPORT_FILE

DRAWING_THREADS = 4
DRAWN_AT_ONCE = 64


def write_report(run_dir: Path, subject: ReportSubject, gathered: Gathered) -> None:
    """Write the page from the run folder's metrics and history, and these results.

    Raises:
        DataError: an image or its mask is not there any more.
        OSError: the page cannot be written.
    """
    facts = contents(run_dir, subject, gathered)
    write_page(run_dir / REPORT_FILE, f"{subject.title} - test report", facts, _images(gathered))


def _images(gathered: Gathered) -> Iterator[dict[str, Any]]:
    """Plain data, in order, drawn in threads a little ahead of its use."""
    count, by = len(gathered.samples), gathered.thresholds
    side = photograph_side(count)

    def drawn(number: int) -> dict[str, Any]:
        heat = draw_heat(gathered.maps[number], gathered.limits, side=side)
        photograph = draw_sample(gathered.samples[number], side=side)
        own = by and by.of(gathered.samples[number].category)
        region = own and region_path(gathered.maps[number], own.pixel.value)
        drawn = {"heat": heat, "predicted": region or ""}
        return _described(gathered, number) | photograph | drawn

    with ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="report") as threads:
        for first in range(0, count, DRAWN_AT_ONCE):
            yield from threads.map(drawn, range(first, min(first + DRAWN_AT_ONCE, count)))


def _described(gathered: Gathered, number: int) -> dict[str, Any]:
    """A score that is not finite, which JSON cannot say, is None."""
    sample, score, by = gathered.samples[number], gathered.scores[number], gathered.thresholds
    finite = math.isfinite(score)
    return {
        "name": sample.name,
        "type": " ".join(filter(None, (sample.category, sample.defect_type))),
        "label": sample.label,
        "path": str(sample.image),
        "score": score if finite else None,
        "normalised": float(by.image.normalise(score)) if by and finite else None,
    }

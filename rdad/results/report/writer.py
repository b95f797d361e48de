"""report.html made while a test goes on: photographs as the images come, the rest at its end."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdad.results.report.contents import ReportSubject, contents
from rdad.results.report.page import write_page
from rdad.results.report.pictures import draw_heat, draw_sample, photograph_side
from rdad.results.spool import Spool

if TYPE_CHECKING:
    from rdad.data.samples import Sample
    from rdad.metrics import Curve
    from rdad.metrics.thresholds import Thresholds

REPORT_FILE = "report.html"
DRAWING_THREADS = 2
DRAWN_AT_ONCE = 64


class ReportWriter:
    """Keeps small photographs on the disk until the page is written.

    Args:
        run_dir: Where the page comes to lie; must exist.
    """

    def __init__(self, run_dir: Path, subject: ReportSubject) -> None:
        self._run_dir = run_dir
        self._subject = subject
        self._side = photograph_side(subject.images)
        self._spool = Spool(run_dir)
        self._places: dict[int, int] = {}

    def draw(self, number: int, sample: "Sample") -> None:
        """Make the photograph of an image; several threads may call this at once.

        Args:
            number: The place of its score and map in what `write` gets.

        Raises:
            DataError: the image or its mask is not there any more.
            OSError: the disk is full.
        """
        drawn = json.dumps(draw_sample(sample, side=self._side)).encode("ascii")
        self._places[number] = self._spool.append(np.frombuffer(drawn, np.uint8))

    def write(
        self,
        samples: "Sequence[Sample]",
        scores: Sequence[float],
        maps: Spool,
        *,
        curves: "Mapping[str, Curve]",
        limits: tuple[float, float],
        fpr_limit: float,
        thresholds: "Thresholds | None" = None,
    ) -> None:
        """Write the page from the run folder's metrics and history, and these results.

        Args:
            scores: Raw, one a sample.
            maps: One a sample.
            limits: The lowest and the highest value of all maps.
            fpr_limit: To which AUPRO goes.
        """
        facts = contents(
            self._run_dir,
            self._subject,
            curves=curves,
            limits=limits,
            fpr_limit=fpr_limit,
            thresholds=thresholds,
        )
        images = (
            _described(sample, scores[number], thresholds)
            | json.loads(self._spool[self._places[number]].tobytes())
            | {"heat": heat}
            for (number, sample), heat in zip(
                enumerate(samples), self._heat(maps, limits), strict=True
            )
        )
        title = f"{self._subject.title} - test report"
        write_page(self._run_dir / REPORT_FILE, title, facts, images)

    def close(self) -> None:
        self._spool.close()

    def _heat(self, maps: Spool, limits: tuple[float, float]) -> Iterator[str]:
        """The heat maps in their order, drawn in threads a little ahead of their use."""

        def draw(number: int) -> str:
            return draw_heat(maps[number], limits, side=self._side)

        with ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="report") as threads:
            for first in range(0, len(maps), DRAWN_AT_ONCE):
                yield from threads.map(draw, range(first, min(first + DRAWN_AT_ONCE, len(maps))))


def _described(sample: "Sample", score: float, thresholds: "Thresholds | None") -> dict[str, Any]:
    """Plain data; a score that is not finite, which JSON cannot say, is None."""
    finite = math.isfinite(score)
    return {
        "name": sample.name,
        "type": sample.defect_type,
        "label": sample.label,
        "path": str(sample.image),
        "score": score if finite else None,
        "normalised": float(thresholds.image.normalise(score)) if thresholds and finite else None,
    }

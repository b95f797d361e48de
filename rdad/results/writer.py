"""What a test leaves in its run folder.

scores.csv                                               a row an image: raw score, normalised
                                                         score and predicted label; and its part,
                                                         where items are seen in several images;
                                                         and its category, where there are several
anomaly_maps/<category>/test/<defect type>/<name>.tiff   raw float32, at the original image's size
overlays/[<category>_]<defect type>_<name>.png           the images that tell most
curves/                                                  see `rdad.results.curves`
report.html                                              see `rdad.results.report`
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from rdad.results.curves import write_test_curves
from rdad.results.gathered import Gathered
from rdad.results.overlays import draw_overlay, most_telling, overlay_names
from rdad.results.report.writer import write_report
from rdad.results.spool import Spool
from rdad.results.waiting import WaitingRoom
from rdad.runs.files import (
    CURVES_FOLDER,
    MAPS_FOLDER,
    OVERLAYS_FOLDER,
    REPORT_FILE,
    SCORES_FILE,
    DiskFullError,
    explained,
    write_atomic,
    write_table,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rdad.data.samples import Sample
    from rdad.metrics.joint import RunMetrics
    from rdad.metrics.thresholds import Thresholds
    from rdad.results.report.contents import ReportSubject

OF_THRESHOLDS = ("normalised_score", "predicted")  # empty where there are none
SCORE_COLUMNS = ("image", "split", "defect_type", "label", "score", *OF_THRESHOLDS)
WRITER_THREADS = 2
MAPS_WAITING = 16  # `add` waits while so many maps, or RDAD_MAX_PIXELS, are not yet written


class ArtifactWriter:
    """Writes a test's results into a run folder while the test goes on.

    Memory does not grow with the test set: maps go to the disk through a bounded queue, and with
    the images of overlays they stay below the limit of pixels together. A failure
    to write does not stop the test; `close` raises it.

    Args:
        category: The folder's name under `anomaly_maps/`, but of samples that have one.
        maps: Whether TIFF files are written.
        overlays: The most overlays that are drawn, chosen by `rdad.results.overlays.most_telling`;
            None draws all.
        fpr_limit: To which the area in the PRO curve goes.
        report: What report.html says of the run; None writes no report.
        thresholds: What normalised scores and predicted labels in scores.csv are by, and where the
            report begins; None where the network has none.

    Raises:
        OSError: nothing can be written in `run_dir`.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        category: str,
        maps: bool = True,
        overlays: int | None = 100,
        fpr_limit: float = 0.3,
        report: "ReportSubject | None" = None,
        thresholds: "Thresholds | None" = None,
    ) -> None:
        from rdad.data.limit import most_pixels  # which needs Pillow

        self._run_dir = run_dir
        self._category = category
        self._maps = maps
        self._overlays = overlays
        self._report = report
        self._error: Exception | None = None
        self._waiting = WaitingRoom(items=MAPS_WAITING, pixels=most_pixels())
        run_dir.mkdir(parents=True, exist_ok=True)
        self._gathered = Gathered(Spool(run_dir), fpr_limit, thresholds)
        self._threads = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="artifacts")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an error in the test there are no scores, overlays, curves and report."""
        if kind is None:
            self.close()
        else:
            self._threads.shutdown(cancel_futures=True)
            self._gathered.maps.close()

    def add(
        self,
        sample: "Sample",
        size: tuple[int, int],
        anomaly_map: "NDArray[np.floating]",
        score: float,
        valid: "NDArray[np.bool_] | None" = None,
    ) -> None:
        """Take an image's results; returns before its map is written.

        Args:
            size: (height, width) of the original image, which its TIFF gets.
            anomaly_map: (H, W), raw, of the network's image size. It is copied.
            score: The raw image score.
            valid: As `anomaly_map`, False at what is ignored, which pictures show veiled.
        """
        values = np.array(anomaly_map, dtype=np.float32)
        shown = values if valid is None else np.where(valid, values, np.float32(np.nan))
        self._gathered.add(sample, float(score), shown)
        self._attempt(self._run_dir, lambda: self._gathered.maps.append(shown))
        if self._maps:
            category = sample.category or self._category
            folder = self._run_dir / MAPS_FOLDER / category / "test" / sample.defect_type
            path = folder / f"{sample.name}.tiff"
            pixels = max(math.prod(size), values.size)
            self._waiting.enter(pixels)
            write = partial(write_map, path, values, size=size)
            written = self._threads.submit(self._attempt, path, write)
            written.add_done_callback(lambda _: self._waiting.leave(pixels))

    def take_curves(self, metrics: "RunMetrics") -> None:
        """Take the curves of metrics that were computed of what was added, and why any lack."""
        self._gathered.curves, self._gathered.areas = metrics.curves, metrics.curve_areas
        self._gathered.undefined = metrics.undefined

    def close(self) -> None:
        """Wait for the maps, then write scores, overlays, curves and report.

        Raises:
            OSError: something could not be written; names the first such file. The scores are
                written even so, where that can be done.
        """
        self._threads.shutdown()
        run_dir, found = self._run_dir, self._gathered
        try:
            self._attempt(run_dir / SCORES_FILE, self._write_scores, always=True)
            self._draw_overlays()
            self._attempt(run_dir / CURVES_FOLDER, partial(write_test_curves, run_dir, found))
            if self._report is not None:
                write = partial(write_report, run_dir, self._report, found)
                self._attempt(run_dir / REPORT_FILE, write)
        finally:
            found.maps.close()
        if self._error is not None:
            raise self._error

    def _attempt(self, path: Path, write: Callable[[], object], *, always: bool = False) -> None:
        """Write `path`; the first failure is kept for `close`, and ends all further writing."""
        try:
            if always or self._error is None:
                write()
        except Exception as error:
            if self._error is None:
                self._error = self._explained(error, path)

    def _explained(self, error: Exception, path: Path) -> Exception:
        if not isinstance(error, OSError):
            error.add_note(f"while writing {path}")
            return error
        told = explained(error, path)
        if not isinstance(told, DiskFullError):
            told = OSError(error.errno, f"cannot write {path}: {error}")
        if told is not error:
            told.__cause__ = error
        return told

    def _write_scores(self) -> None:
        found = self._gathered
        optional = ("part", "category")
        further = [name for name in optional if any(getattr(one, name) for one in found.samples)]
        rows = [
            (
                *(sample.image, "test", sample.defect_type, sample.label, score),
                *(*self._verdict(sample, score), *(getattr(sample, name) for name in further)),
            )
            for sample, score in zip(found.samples, found.scores, strict=True)
        ]
        write_table(self._run_dir / SCORES_FILE, (*SCORE_COLUMNS, *further), rows)

    def _verdict(self, sample: "Sample", score: float) -> tuple[float, int] | tuple[str, str]:
        if self._gathered.thresholds is None:
            return "", ""
        threshold = self._gathered.thresholds.of(sample.category).image
        return float(threshold.normalise(score)), int(threshold.exceeded(score))

    def _draw_overlays(self) -> None:
        from rdad.data.in_order import in_order  # which needs Pillow
        from rdad.data.limit import pixels_said

        found = self._gathered
        chosen = most_telling(found.samples, found.scores, limit=self._overlays)
        names = overlay_names(found.samples)

        def draw(number: int) -> None:
            path = self._run_dir / OVERLAYS_FOLDER / names[number]
            write = partial(draw_overlay, path, found, number, category=self._category)
            self._attempt(path, write)

        def pixels(number: int) -> int:
            return pixels_said(found.samples[number].image)

        for _ in in_order(draw, chosen, threads=WRITER_THREADS, pixels=pixels):
            pass


def write_map(path: Path, anomaly_map: "NDArray[np.float32]", *, size: tuple[int, int]) -> None:
    """Write a map as float32 TIFF, stretched to `size` (height, width)."""
    import tifffile

    from rdad.detector.scoring import stretched_map  # which needs torch

    stretched = stretched_map(anomaly_map, size)
    write_atomic(path, lambda draft: tifffile.imwrite(draft, stretched))

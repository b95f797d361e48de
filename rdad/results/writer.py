"""What a test leaves in its run folder.

scores.csv                                               a row an image: raw score, normalised
                                                         score and predicted label
anomaly_maps/<category>/test/<defect type>/<name>.tiff   raw float32, at the original image's size
overlays/<defect type>_<name>.png                        the images that tell most
curves/                                                  see `rdad.results.curves`
report.html                                              see `rdad.results.report`
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Self

import numpy as np

from rdad.results.report.writer import REPORT_FILE, ReportWriter
from rdad.results.spool import Spool
from rdad.runs.files import DiskFullError, explained, write_atomic, write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rdad.data.samples import Sample
    from rdad.metrics import AnomalyMetrics, Curve
    from rdad.metrics.thresholds import Thresholds
    from rdad.results.report.contents import ReportSubject

SCORES_FILE = "scores.csv"
MAPS_FOLDER, OVERLAYS_FOLDER = "anomaly_maps", "overlays"
VERDICT_COLUMNS = ("normalised_score", "predicted")  # empty without thresholds
SCORE_COLUMNS = ("image", "split", "defect_type", "label", "score", *VERDICT_COLUMNS)
WRITER_THREADS = 2
MAPS_WAITING = 16  # `add` waits while so many maps and photographs are not yet written


class ArtifactWriter:
    """Writes a test's results into a run folder while the test goes on.

    Memory does not grow with the test set: maps go to the disk through a bounded queue. A failure
    to write does not stop the test; `close` raises it.

    Args:
        category: The folder's name under `anomaly_maps/`.
        maps: Whether TIFF files are written.
        overlays: The most overlays that are drawn, chosen by `rdad.results.overlays.most_telling`;
            None draws all.
        fpr_limit: To which the area in the PRO curve goes.
        report: What report.html says of the run; None writes no report.
        thresholds: What normalised scores and predicted labels in scores.csv are by, and where the
            report begins; None where the network has none.

    Raises:
        ValueError: `overlays` is negative.
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
        if overlays is not None and overlays < 0:
            raise ValueError(f"overlays is {overlays}; allowed: 0 or more, or null for all")
        self._run_dir = run_dir
        self._category = category
        self._maps = maps
        self._overlays = overlays
        self._fpr_limit = fpr_limit
        self._thresholds = thresholds
        self._samples: list[Sample] = []
        self._scores: list[float] = []
        self._curves: dict[str, Curve] = {}
        self._areas: dict[str, float] = {}
        self._low, self._high = np.inf, -np.inf
        self._error: Exception | None = None
        self._waiting = BoundedSemaphore(MAPS_WAITING)
        run_dir.mkdir(parents=True, exist_ok=True)
        self._spool = Spool(run_dir)
        self._report = None if report is None else ReportWriter(run_dir, report)
        self._threads = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="artifacts")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def add(
        self,
        sample: "Sample",
        size: tuple[int, int],
        anomaly_map: "NDArray[np.floating]",
        score: float,
    ) -> None:
        """Take an image's results; returns before its map is written.

        Args:
            size: (height, width) of the original image, which its TIFF gets.
            anomaly_map: (H, W), raw, of the network's image size. It is copied.
            score: The raw image score.
        """
        values = np.array(anomaly_map, dtype=np.float32)
        if values.ndim != 2:
            found = f"{values.shape} for {sample.image}"
            raise ValueError(f"an anomaly map is (height, width); found {found}")
        self._samples.append(sample)
        self._scores.append(float(score))
        self._low = min(self._low, float(np.fmin.reduce(values, None)))
        self._high = max(self._high, float(np.fmax.reduce(values, None)))
        self._attempt(self._run_dir, lambda: self._spool.append(values))
        if self._maps:
            path = self._map_path(sample)
            self._submit(path, partial(write_map, path, values, size=size))
        if self._report is not None:
            draw = partial(self._report.draw, len(self._scores) - 1, sample)
            self._submit(self._run_dir / REPORT_FILE, draw)

    def take_curves(self, metrics: "AnomalyMetrics") -> None:
        """Take the curves of metrics that have been computed of what was added."""
        self._curves, self._areas = metrics.curves, metrics.curve_areas

    def close(self) -> None:
        """Wait for the maps, then write scores, overlays, curves and report.

        Raises:
            OSError: something could not be written; names the first such file. The scores are
                written even so, where that can be done.
        """
        self._threads.shutdown()
        try:
            self._attempt(self._run_dir / SCORES_FILE, self._write_scores, always=True)
            self._draw_overlays()
            self._attempt(self._run_dir / "curves", self._write_curves)
            self._attempt(self._run_dir / REPORT_FILE, self._write_report)
        finally:
            self._close_spools()
        if self._error is not None:
            raise self._error

    def discard(self) -> None:
        """Stop without scores, overlays, curves and report, as after an error in the test."""
        self._threads.shutdown(cancel_futures=True)
        self._close_spools()

    def _close_spools(self) -> None:
        self._spool.close()
        if self._report is not None:
            self._report.close()

    def _submit(self, path: Path, write: Callable[[], object]) -> None:
        """Write `path` in a thread, after those before it; waits while too many wait."""
        self._waiting.acquire()
        written = self._threads.submit(self._attempt, path, write)
        written.add_done_callback(lambda _: self._waiting.release())

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

    def _map_path(self, sample: "Sample") -> Path:
        folder = self._run_dir / MAPS_FOLDER / self._category / "test" / sample.defect_type
        return folder / f"{sample.name}.tiff"

    def _write_scores(self) -> None:
        rows = [
            (sample.image, "test", sample.defect_type, sample.label, score, *self._verdict(score))
            for sample, score in zip(self._samples, self._scores, strict=True)
        ]
        write_table(self._run_dir / SCORES_FILE, SCORE_COLUMNS, rows)

    def _verdict(self, score: float) -> tuple[float, int] | tuple[str, str]:
        if self._thresholds is None:
            return "", ""
        threshold = self._thresholds.image
        return float(threshold.normalise(score)), int(threshold.exceeded(score))

    def _draw_overlays(self) -> None:
        from rdad.results.overlays import draw_overlay, most_telling, overlay_names

        chosen = most_telling(self._samples, self._scores, limit=self._overlays)
        names = overlay_names([self._samples[number] for number in chosen])

        def draw(number: int, path: Path) -> None:
            sample, score = self._samples[number], self._scores[number]
            limits = (self._low, self._high)
            title = f"{self._category}  {sample.defect_type}/{sample.name}"
            caption = f"score {score:.4g}"
            draw_overlay(path, sample, self._spool[number], limits, title=title, caption=caption)

        with ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="overlays") as threads:
            for number, name in zip(chosen, names, strict=True):
                path = self._run_dir / OVERLAYS_FOLDER / name
                threads.submit(self._attempt, path, partial(draw, number, path))

    def _write_curves(self) -> None:
        from rdad.results.curves import write_test_curves

        self._curves = write_test_curves(
            self._run_dir,
            self._samples,
            self._scores,
            self._curves,
            self._areas,
            fpr_limit=self._fpr_limit,
        )

    def _write_report(self) -> None:
        if self._report is not None:
            self._report.write(
                self._samples,
                self._scores,
                self._spool,
                curves=self._curves,
                limits=(self._low, self._high),
                fpr_limit=self._fpr_limit,
                thresholds=self._thresholds,
            )


def write_map(path: Path, anomaly_map: "NDArray[np.float32]", *, size: tuple[int, int]) -> None:
    """Write a map as float32 TIFF, stretched to `size` (height, width)."""
    import tifffile

    from rdad.detector.scoring import stretched_map  # which needs torch

    stretched = stretched_map(anomaly_map, size)
    write_atomic(path, lambda draft: tifffile.imwrite(draft, stretched))

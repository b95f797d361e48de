"""The curves of a run, as points and as pictures in its folder `curves/`.

roc.png, roc.csv          image ROC, and pixel ROC where there are masks
pro.png, pro.csv          per-region overlap, where there are masks
score_histogram.png       image scores by defect type
loss.png                  the losses of `history.csv`
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdad.runs.files import read_history, write_atomic, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rdad.data.samples import Sample
    from rdad.metrics.ranking import Ranking
    from rdad.results.map_spool import MapSpool

log = logging.getLogger(__name__)

FOLDER = "curves"
LARGEST_PIXEL_COUNT = 2**24  # 256 maps of 256 x 256: every test set of MVTec AD is taken whole


def write_test_curves(
    run_dir: Path,
    samples: "Sequence[Sample]",
    scores: Sequence[float],
    maps: "MapSpool",
    *,
    fpr_limit: float = 0.3,
) -> None:
    """Write what the results define: no ROC of one class, no pixel curves without masks.

    Args:
        scores: Raw, one a sample.
        maps: One a sample, of any shapes. Pixel curves need a mask for each defect.
        fpr_limit: To which AUPRO goes.
    """
    from rdad.metrics.exact import ranked
    from rdad.results.figures import score_histogram

    if not np.isfinite(scores).all():
        log.warning("no curves: %d scores are not finite", np.sum(~np.isfinite(scores)))
        return
    if samples:
        types = [sample.defect_type for sample in samples]
        _save(run_dir, "score_histogram", score_histogram(scores, types))
    image = ranked(scores, [sample.label for sample in samples])
    if image.one_class:
        log.info("no ROC curve: it needs normal and anomalous test images")
        return
    pixel = _pixel_ranking(samples, maps)
    _write_roc(run_dir, {"image": image} if pixel is None else {"image": image, "pixel": pixel})
    if pixel is not None:
        _write_pro(run_dir, pixel, fpr_limit=fpr_limit)


def write_loss_curve(run_dir: Path) -> None:
    """Draw the losses of `history.csv`; nothing before the first epoch."""
    from rdad.results.figures import loss_figure

    history = read_history(run_dir)
    if history:
        _save(run_dir, "loss", loss_figure(history))


def _write_roc(run_dir: Path, rankings: "dict[str, Ranking]") -> None:
    from rdad.metrics.curves import roc_of
    from rdad.results.figures import roc_figure

    curves = {name: roc_of(ranking) for name, ranking in rankings.items()}
    areas = {name: ranking.auroc() for name, ranking in rankings.items()}
    _save(run_dir, "roc", roc_figure(curves, areas))
    points = [(name, *point) for name, curve in curves.items() for point in _points(curve)]
    columns = ("curve", "false_positive_rate", "true_positive_rate")
    write_table(run_dir / FOLDER / "roc.csv", columns, points)


def _write_pro(run_dir: Path, ranking: "Ranking", *, fpr_limit: float) -> None:
    from rdad.metrics.curves import pro_of
    from rdad.results.figures import pro_figure

    curve = pro_of(ranking)
    area = ranking.partial_area(fpr_limit)
    _save(run_dir, "pro", pro_figure(curve, area, fpr_limit=fpr_limit))
    columns = ("false_positive_rate", "per_region_overlap")
    write_table(run_dir / FOLDER / "pro.csv", columns, _points(curve))


def _points(curve: "Sequence[NDArray[np.floating]]") -> Iterable[tuple[float, float]]:
    return zip(curve[0].tolist(), curve[1].tolist(), strict=True)


def _pixel_ranking(samples: "Sequence[Sample]", maps: "MapSpool") -> "Ranking | None":
    """The pixels ranked for ROC and PRO; None where masks are missing.

    Of very many pixels only every k-th row and column is taken, to bound the memory. The curves
    look the same, and the areas written beside them may differ in the third digit.
    """
    from rdad.metrics.exact import ranked_regions_of_each

    if any(sample.label and sample.mask is None for sample in samples):
        return None
    total = sum(height * width for height, width in maps.shapes())
    step = max(1, math.ceil(math.sqrt(total / LARGEST_PIXEL_COUNT)))
    if step > 1:
        log.info("pixel curves are drawn from every %d-th row and column of the maps", step)
    ranking = ranked_regions_of_each(_thinned(samples, maps, step))
    return None if ranking.one_class else ranking


def _thinned(
    samples: "Sequence[Sample]", maps: "MapSpool", step: int
) -> "Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]":
    """Every `step`-th row and column of each map and mask."""
    for number, sample in enumerate(samples):
        anomaly_map = maps[number]
        mask = np.zeros(anomaly_map.shape, dtype=bool)
        if sample.mask is not None:
            mask = _mask(sample.mask, anomaly_map.shape)
        yield anomaly_map[::step, ::step], mask[::step, ::step]


def _mask(path: Path, size: tuple[int, int]) -> "NDArray[np.bool_]":
    from rdad.data.images import decode_mask, read_bytes, resize_mask

    return resize_mask(decode_mask(read_bytes(path), path), size)


def _save(run_dir: Path, name: str, figure: "Figure") -> None:
    write_atomic(run_dir / FOLDER / f"{name}.png", figure.savefig)

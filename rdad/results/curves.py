"""The curves of a run, as points and as pictures in its folder `curves/`.

roc.png, roc.csv          image ROC, and pixel ROC where there are masks
pro.png, pro.csv          per-region overlap, where there are masks
score_histogram.png       image scores by defect type
loss.png                  the losses of `history.csv`
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdad.results.gathered import Gathered
from rdad.runs.files import CURVES_FOLDER, read_history, write_atomic, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rdad.metrics import Curve

log = logging.getLogger(__name__)


def write_test_curves(run_dir: Path, gathered: Gathered) -> None:
    """Write what the results define: no ROC of one class, no pixel curves without masks.

    Of `gathered.curves` those are kept that were written.
    """
    from rdad.results.charts import score_histogram

    samples, scores, found = gathered.samples, gathered.scores, gathered.curves
    gathered.curves = {}
    if not np.isfinite(scores).all():
        log.warning("no curves: %d scores are not finite", np.sum(~np.isfinite(scores)))
        return
    if samples:
        types = [sample.defect_type for sample in samples]
        _save(run_dir, "score_histogram", score_histogram(scores, types))
    if any(sample.category for sample in samples):
        log.info("no ROC curve: the figures are means over categories")
        return
    drawn = {name: curve for name, curve in found.items() if curve.fpr.size}
    if "image_roc" not in drawn:
        log.info("no ROC curve: it needs normal and anomalous test images")
        return
    if any(sample.label and sample.mask is None for sample in samples):
        drawn = {"image_roc": drawn["image_roc"]}
    gathered.curves = drawn
    _write_roc(run_dir, drawn, gathered.areas)
    if "pro" in drawn:
        _write_pro(run_dir, drawn["pro"], gathered.areas["pro"], fpr_limit=gathered.fpr_limit)


def write_loss_curve(run_dir: Path) -> None:
    """Draw the losses of `history.csv`; nothing before the first epoch."""
    from rdad.results.charts import loss_figure

    history = read_history(run_dir)
    if history:
        _save(run_dir, "loss", loss_figure(history))


def write_chart(path: Path, figure: "Figure") -> None:
    """Write a PNG of what `figure.savefig` would write, which draws it twice to lay it out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    write_atomic(path, partial(picture.save, dpi=(figure.dpi, figure.dpi)))


def _write_roc(run_dir: Path, curves: "Mapping[str, Curve]", areas: Mapping[str, float]) -> None:
    from rdad.results.charts import roc_figure

    shown = {name: curves[f"{name}_roc"] for name in ("image", "pixel") if f"{name}_roc" in curves}
    _save(run_dir, "roc", roc_figure(shown, {name: areas[f"{name}_roc"] for name in shown}))
    points = [
        (name, *point) for name, curve in shown.items() for point in np.transpose(curve).tolist()
    ]
    columns = ("curve", "false_positive_rate", "true_positive_rate")
    write_table(run_dir / CURVES_FOLDER / "roc.csv", columns, points)


def _write_pro(run_dir: Path, curve: "Curve", area: float, *, fpr_limit: float) -> None:
    from rdad.results.charts import pro_figure

    _save(run_dir, "pro", pro_figure(curve, area, fpr_limit=fpr_limit))
    columns = ("false_positive_rate", "per_region_overlap")
    write_table(run_dir / CURVES_FOLDER / "pro.csv", columns, np.transpose(curve).tolist())


def _save(run_dir: Path, name: str, figure: "Figure") -> None:
    write_chart(run_dir / CURVES_FOLDER / f"{name}.png", figure)

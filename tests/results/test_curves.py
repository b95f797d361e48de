"""The curves in a run's folder agree with the metrics and are left out where undefined."""

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_folders import computed_metrics

from rdad.data.samples import Sample
from rdad.metrics import AnomalyMetrics, aupro, auroc
from rdad.results.charts import loss_figure, pro_figure, roc_figure, score_histogram
from rdad.results.curves import write_chart, write_loss_curve, write_test_curves
from rdad.results.gathered import Gathered
from rdad.results.spool import Spool
from rdad.runs.files import append_history

pytestmark = pytest.mark.usefixtures("charts")
LABELS = (0, 0, 0, 1, 1, 1)
SCORES = [0.1, 0.5, 0.2, 0.4, 0.9, 0.8]


@pytest.fixture
def maps() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    made = [random.random((32, 32), dtype=np.float32) for _ in LABELS]
    for label, anomaly_map in zip(LABELS, made, strict=True):
        anomaly_map[8:16, 8:24] += 0.5 * label
    return made


def write_curves(
    folder: Path, samples: list[Sample], scores: list[float], maps: list[np.ndarray]
) -> list[str]:
    """The names of the curves that were written."""
    gathered = gather(folder, samples, scores, computed_metrics(samples, scores, maps))
    write_test_curves(folder, gathered)
    return list(gathered.curves)


def gather(
    folder: Path, samples: list[Sample], scores: list[float], metrics: AnomalyMetrics
) -> Gathered:
    found = {"curves": metrics.curves, "areas": metrics.curve_areas}
    return Gathered(Spool(folder), samples=samples, scores=scores, **found)


def make_samples(folder: Path, *, masks: bool, labels: tuple[int, ...] = LABELS) -> list[Sample]:
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[8:16, 8:24] = 255
    Image.fromarray(pixels).save(folder / "mask.png")
    return [
        Sample(
            image=folder / f"{number}.png",
            label=label,
            defect_type="bent" if label else "good",
            mask=folder / "mask.png" if masks and label else None,
            name=str(number),
        )
        for number, label in enumerate(labels)
    ]


def names(run_dir: Path) -> set[str]:
    return {path.name for path in (run_dir / "curves").iterdir()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_points_of_the_curves_have_the_areas_of_the_metrics(tmp_path: Path, maps: list[np.ndarray]):
    written = write_curves(tmp_path, make_samples(tmp_path, masks=True), SCORES, maps)
    assert written == ["image_roc", "pixel_roc", "pro"]
    masks = np.zeros((6, 32, 32), dtype=bool)
    masks[3:, 8:16, 8:24] = True
    values = np.stack(maps)
    for curve, area in (("image", auroc(SCORES, LABELS)), ("pixel", auroc(values, masks))):
        points = [row for row in rows(tmp_path / "curves/roc.csv") if row["curve"] == curve]
        false_positives = [float(row["false_positive_rate"]) for row in points]
        true_positives = [float(row["true_positive_rate"]) for row in points]
        assert np.trapezoid(true_positives, false_positives) == pytest.approx(area, abs=1e-4)
    points = rows(tmp_path / "curves/pro.csv")
    rates = np.array([float(row["false_positive_rate"]) for row in points])
    overlaps = np.array([float(row["per_region_overlap"]) for row in points])
    fine = np.linspace(0, 0.3, 20_001)
    area = np.trapezoid(np.interp(fine, rates, overlaps), fine) / 0.3
    assert area == pytest.approx(aupro(values, masks), abs=1e-3)


def test_without_masks_there_is_only_the_image_curve(tmp_path: Path, maps: list[np.ndarray]):
    write_curves(tmp_path, make_samples(tmp_path, masks=False), SCORES, maps)
    assert names(tmp_path) == {"roc.png", "roc.csv", "score_histogram.png"}
    assert {row["curve"] for row in rows(tmp_path / "curves/roc.csv")} == {"image"}


def test_with_one_class_there_is_only_the_histogram(tmp_path: Path, maps: list[np.ndarray]):
    samples = make_samples(tmp_path, masks=True, labels=(0,) * 6)
    write_curves(tmp_path, samples, SCORES, maps)
    assert names(tmp_path) == {"score_histogram.png"}


def test_scores_that_are_not_finite_draw_nothing_and_warn(
    tmp_path: Path, maps: list[np.ndarray], caplog: pytest.LogCaptureFixture
):
    scores = [*SCORES[:5], float("nan")]
    with caplog.at_level(logging.WARNING):
        samples = make_samples(tmp_path, masks=True)
        metrics = computed_metrics(samples, SCORES, maps)
        write_test_curves(tmp_path, gather(tmp_path, samples, scores, metrics))
    assert not (tmp_path / "curves").exists()
    assert "no curves: 1 scores are not finite" in caplog.text


def test_a_defect_without_a_mask_leaves_out_the_pixel_curves(
    tmp_path: Path, maps: list[np.ndarray]
):
    samples = make_samples(tmp_path, masks=True)
    metrics = computed_metrics(samples, SCORES, maps)
    samples[-1] = replace(samples[-1], mask=None)
    gathered = gather(tmp_path, samples, SCORES, metrics)
    write_test_curves(tmp_path, gathered)
    assert list(gathered.curves) == ["image_roc"]
    assert names(tmp_path) == {"roc.png", "roc.csv", "score_histogram.png"}


def test_maps_of_different_shapes_have_the_areas_that_their_pixels_have(tmp_path: Path):
    maps, random, pieces = [], np.random.default_rng(0), []
    for number, shape in enumerate([(32, 32), (40, 17), (32, 32), (9, 80)]):
        values = random.random(shape, dtype=np.float32)
        mask = np.zeros(shape, dtype=bool)
        if number == 2:
            values[8:16, 8:24] += 0.5
            mask[8:16, 8:24] = True
        maps.append(values)
        pieces.append((values.ravel(), mask.ravel()))
    samples = make_samples(tmp_path, masks=True, labels=(0, 0, 1, 0))
    write_curves(tmp_path, samples, [0.1, 0.2, 0.3, 0.4], maps)
    pixels, defects = (np.concatenate(each) for each in zip(*pieces, strict=True))
    points = [row for row in rows(tmp_path / "curves" / "roc.csv") if row["curve"] == "pixel"]
    x, y = ([float(row[f"{kind}_positive_rate"]) for row in points] for kind in ("false", "true"))
    assert np.trapezoid(y, x) == pytest.approx(auroc(pixels, defects), abs=1e-3)


def test_loss_curve_is_drawn_from_the_history(tmp_path: Path):
    write_loss_curve(tmp_path)
    assert not (tmp_path / "curves").exists()
    append_history(tmp_path, {"epoch": 1, "train/loss": 1.0})
    write_loss_curve(tmp_path)
    assert names(tmp_path) == {"loss.png"}


def test_a_chart_drawn_once_is_the_picture_that_matplotlib_saves(tmp_path: Path):
    rising = np.linspace(0, 1, 50)
    charts = (
        lambda: roc_figure({"image": (rising, rising**0.1)}, {"image": 0.9}),
        lambda: pro_figure((rising, rising), 0.15),
        lambda: score_histogram(SCORES, ["good", "good", "bent", "bent", "cut", "cut"]),
        lambda: loss_figure([{"epoch": n, "train/loss": 10.0**-n} for n in range(5)]),
    )
    for chart in charts:
        chart().savefig(tmp_path / "saved.png")
        write_chart(tmp_path / "drawn.png", chart())
        with (
            Image.open(tmp_path / "saved.png") as saved,
            Image.open(tmp_path / "drawn.png") as ours,
        ):
            assert ours.info["dpi"] == saved.info["dpi"]
            assert np.array_equal(np.asarray(ours), np.asarray(saved))

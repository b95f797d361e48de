"""The curves in a run's folder agree with the metrics and are left out where undefined."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data.samples import Sample
from rdad.metrics.exact import aupro, auroc
from rdad.results import curves
from rdad.results.curves import write_loss_curve, write_test_curves
from rdad.results.map_spool import MapSpool
from rdad.runs.files import append_history

LABELS = (0, 0, 0, 1, 1, 1)
SCORES = [0.1, 0.5, 0.2, 0.4, 0.9, 0.8]


@pytest.fixture
def maps(tmp_path: Path) -> MapSpool:
    spool = MapSpool(tmp_path)
    random = np.random.default_rng(0)
    for label in LABELS:
        anomaly_map = random.random((32, 32), dtype=np.float32)
        anomaly_map[8:16, 8:24] += 0.5 * label
        spool.append(anomaly_map)
    return spool


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


def test_points_of_the_curves_have_the_areas_of_the_metrics(tmp_path: Path, maps: MapSpool):
    write_test_curves(tmp_path, make_samples(tmp_path, masks=True), SCORES, maps)
    masks = np.zeros((6, 32, 32), dtype=bool)
    masks[3:, 8:16, 8:24] = True
    values = np.stack([maps[number] for number in range(6)])
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


def test_without_masks_there_is_only_the_image_curve(tmp_path: Path, maps: MapSpool):
    write_test_curves(tmp_path, make_samples(tmp_path, masks=False), SCORES, maps)
    assert names(tmp_path) == {"roc.png", "roc.csv", "score_histogram.png"}
    assert {row["curve"] for row in rows(tmp_path / "curves/roc.csv")} == {"image"}


def test_with_one_class_there_is_only_the_histogram(tmp_path: Path, maps: MapSpool):
    samples = make_samples(tmp_path, masks=True, labels=(0,) * 6)
    write_test_curves(tmp_path, samples, SCORES, maps)
    assert names(tmp_path) == {"score_histogram.png"}


def test_scores_that_are_not_finite_draw_nothing_and_warn(
    tmp_path: Path, maps: MapSpool, caplog: pytest.LogCaptureFixture
):
    scores = [*SCORES[:5], float("nan")]
    with caplog.at_level(logging.WARNING):
        write_test_curves(tmp_path, make_samples(tmp_path, masks=True), scores, maps)
    assert not (tmp_path / "curves").exists()
    assert "no curves: 1 scores are not finite" in caplog.text


def test_very_many_pixels_are_thinned_with_little_effect(
    tmp_path: Path, maps: MapSpool, monkeypatch: pytest.MonkeyPatch
):
    samples = make_samples(tmp_path, masks=True)
    whole = curves._pixel_ranking(samples, maps)
    monkeypatch.setattr(curves, "LARGEST_PIXEL_COUNT", 6 * 32 * 32 // 4)
    thinned = curves._pixel_ranking(samples, maps)
    assert whole is not None and thinned is not None
    assert thinned.positive_count == whole.positive_count // 4
    assert thinned.auroc() == pytest.approx(whole.auroc(), abs=0.05)


def test_maps_of_different_shapes_have_the_areas_that_their_pixels_have(tmp_path: Path):
    spool, random, pieces = MapSpool(tmp_path), np.random.default_rng(0), []
    for number, shape in enumerate([(32, 32), (40, 17), (32, 32), (9, 80)]):
        values = random.random(shape, dtype=np.float32)
        mask = np.zeros(shape, dtype=bool)
        if number == 2:
            values[8:16, 8:24] += 0.5
            mask[8:16, 8:24] = True
        spool.append(values)
        pieces.append((values.ravel(), mask.ravel()))
    samples = make_samples(tmp_path, masks=True, labels=(0, 0, 1, 0))
    write_test_curves(tmp_path, samples, [0.1, 0.2, 0.3, 0.4], spool)
    pixels, defects = (np.concatenate(each) for each in zip(*pieces, strict=True))
    points = [row for row in rows(tmp_path / "curves" / "roc.csv") if row["curve"] == "pixel"]
    x, y = ([float(row[f"{kind}_positive_rate"]) for row in points] for kind in ("false", "true"))
    assert np.trapezoid(y, x) == pytest.approx(auroc(pixels, defects), abs=1e-3)


def test_loss_curve_is_drawn_from_the_history(tmp_path: Path):
    write_loss_curve(tmp_path)
    assert not (tmp_path / "curves").exists()
    append_history(tmp_path, {"epoch": 0, "train/loss": 1.0})
    write_loss_curve(tmp_path)
    assert names(tmp_path) == {"loss.png"}

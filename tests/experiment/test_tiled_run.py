"""A run on images that are cut into tiles, from its configuration to its predictions."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from rdad import load_config, load_run, run
from rdad.evaluate import main as evaluate
from rdad.experiment.run import RunResult
from rdad.metrics import auroc

SIZES = [(96, 128), (64, 150), (40, 72), (130, 64)]  # (height, width)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Striped parts of four sizes; a third of the test images have a bright square."""
    root, random = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for number in range(20):
        height, width = SIZES[number % 4]
        stripes = 100 + 40 * np.sin(np.arange(width) / 3) + random.normal(0, 5, (height, width))
        kind = ("train/good", "test/good", "test/square")[max(0, number // 4 - 2)]
        mask = np.zeros((height, width), np.uint8)
        if kind == "test/square":
            mask[20:28, 40:50] = 255
            _save(root / f"ground_truth/square/{number:03}.png", mask)
        _save(root / kind / f"{number:03}.png", np.where(mask, 250, stripes))
    return root


def _save(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey.astype(np.uint8)).save(path)


def config(photographs: Path, *overrides: str) -> Any:
    return load_config(
        "backbone=resnet18",
        "model.pre_trained=false",
        "layers=layer12",
        "tracking=off",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "dataset=folder",
        f"dataset.root={photographs}",
        "dataset.normal=train/good",
        "dataset.normal_test=test/good",
        "dataset.defects=test",
        "dataset.masks=ground_truth",
        "dataset.calibration=0.25",
        "dataset.image_size=[64,64]",
        "dataset.tile=[64,64]",
        *overrides,
    )


@pytest.fixture(scope="module")
def tiled(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("runs") / "tiled"
    return run(config(photographs, "reuse=false"), folder)


def scores_of(run_dir: Path) -> dict[str, float]:
    with (run_dir / "scores.csv").open(newline="") as file:
        return {row["image"]: float(row["score"]) for row in csv.DictReader(file)}


def test_every_map_has_the_size_of_its_image_and_its_maximum_is_the_score(
    tiled: RunResult,
) -> None:
    scores = scores_of(tiled.output_dir)
    assert len(scores) == 8
    for name, score in scores.items():
        image = Path(name)
        found = tiled.output_dir / "anomaly_maps" / _category(tiled) / "test" / image.parent.name
        anomaly_map = tifffile.imread(found / f"{image.stem}.tiff")
        assert anomaly_map.shape == Image.open(image).size[::-1]
        assert anomaly_map.max() == pytest.approx(score, rel=1e-6)


def _category(result: RunResult) -> str:
    (folder,) = (result.output_dir / "anomaly_maps").iterdir()
    return folder.name


def test_pixel_figures_are_those_of_the_maps_at_the_images_own_size(
    tiled: RunResult, photographs: Path
) -> None:
    maps, masks = [], []
    for path in sorted((tiled.output_dir / "anomaly_maps").rglob("*.tiff")):
        maps.append(tifffile.imread(path))
        mask = photographs / "ground_truth" / path.parent.name / f"{path.stem}.png"
        masks.append(np.asarray(Image.open(mask)) > 127 if mask.exists() else maps[-1] < -1)
    pixels = np.concatenate([one.ravel() for one in maps])
    defects = np.concatenate([one.ravel() for one in masks])
    assert tiled.metrics["test/pixel_auroc"] == pytest.approx(auroc(pixels, defects), abs=1e-6)
    assert tiled.metrics["test/aupro"] == pytest.approx(one_region_aupro(maps, masks), abs=1e-6)


def one_region_aupro(maps: list[np.ndarray], masks: list[np.ndarray]) -> float:
    """AUPRO to 0.3 where each defective image has one region, pixel by pixel."""
    values, defects = (np.concatenate([one.ravel() for one in each]) for each in (maps, masks))
    shares = np.concatenate([one.ravel() / max(one.sum(), 1) for one in masks])
    order = np.argsort(-values, kind="stable")
    rate = np.r_[0, np.cumsum(~defects[order]) / (~defects).sum()]
    found = np.r_[0, np.cumsum(shares[order]) / shares.sum()]
    inside = rate < 0.3
    at_limit = np.interp(0.3, rate, found)
    return float(np.trapezoid(np.r_[found[inside], at_limit], np.r_[rate[inside], 0.3]) / 0.3)


def test_predictions_are_those_of_the_test(tiled: RunResult) -> None:
    loaded = load_run(tiled.output_dir)
    for name, score in list(scores_of(tiled.output_dir).items())[:4]:
        found = loaded.predict(name)
        assert found.anomaly_map.shape == Image.open(name).size[::-1]
        assert found.score == pytest.approx(score, rel=1e-5)
        assert found.is_defective is not None


def test_evaluating_the_run_again_gives_its_maps_to_the_last_bit(
    tiled: RunResult, tmp_path: Path
) -> None:
    assert evaluate([str(tiled.output_dir), f"output={tmp_path / 'again'}"]) == 0
    maps = sorted((tiled.output_dir / "anomaly_maps").rglob("*.tiff"))
    for path in maps:
        again = tmp_path / "again" / path.relative_to(tiled.output_dir)
        assert np.array_equal(tifffile.imread(again), tifffile.imread(path))
    assert len(maps) == 8


def test_thresholds_come_from_whole_calibration_images(tiled: RunResult) -> None:
    thresholds = load_run(tiled.output_dir).thresholds
    assert thresholds is not None and thresholds.images == 3
    record = json.loads((tiled.output_dir / "run.json").read_text())
    assert record["images"] == {"train": 9, "calibration": 3, "test": 8}
    assert record["params"]["tile"] == "64x64"


def test_pixel_curves_are_drawn_of_maps_of_different_sizes(tiled: RunResult) -> None:
    rows = (tiled.output_dir / "curves" / "roc.csv").read_text().splitlines()
    assert any(row.startswith("pixel,") for row in rows)
    assert (tiled.output_dir / "curves" / "pro.csv").is_file()


def test_test_images_can_be_watched(photographs: Path, tmp_path: Path) -> None:
    run(config(photographs, "dataset.validation=test", "dataset.tile_overlap=0"), tmp_path)
    with (tmp_path / "history.csv").open(newline="") as file:
        (epoch,) = csv.DictReader(file)
    tested = json.loads((tmp_path / "metrics.json").read_text())
    for name in ("image_auroc", "pixel_auroc", "aupro"):  # no step came between them
        assert float(epoch[f"watch/{name}"]) == pytest.approx(tested[f"test/{name}"], abs=1e-6)

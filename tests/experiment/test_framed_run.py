"""A run on letterboxed images with a mask each, from its configuration to its predictions."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from omegaconf import OmegaConf
from PIL import Image

from rdad import load_config, load_run, run
from rdad.config.build import build
from rdad.config.checks import check
from rdad.config.mistakes import ConfigError
from rdad.data import DataError
from rdad.evaluate import main as evaluate
from rdad.experiment.run import RunResult
from rdad.predict.__main__ import COMMAND, predict

SIZES = [(24, 80), (90, 30)]  # (height, width)


def _save(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide and tall parts; test images have a square, one of them where nothing is looked at."""
    root, random = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for number in range(14):
        height, width = SIZES[number % 2]
        kind = ("train/good", "train/good", "train/good", "test/good", "test/square")[number // 3]
        grey, mask, seen = random.normal(100, 20, (height, width)), *np.zeros((2, height, width))
        seen[4:20, 4:26] = 255
        if kind == "test/square":
            mask[8:14, 8:14] = 255
            mask = mask if number % 3 else np.roll(mask, 14, axis=0)
            _save(root / f"ground_truth/square/{number:03}.png", mask)
        _save(root / kind / f"{number:03}.png", np.where(mask, 250, grey))
        _save(root / "look" / kind / f"{number:03}.png", seen)
    return root


@pytest.fixture(scope="module")
def framed(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    cfg = load_config(
        *("backbone=resnet18", "model.pre_trained=false", "layers=layer12", "tracking=off"),
        *("trainer=cpu", "trainer.max_epochs=1", "reuse=false", "dataset=folder"),
        *(f"dataset.root={parts}", "dataset.normal=train/good", "dataset.normal_test=test/good"),
        *("dataset.defects=test", "dataset.masks=ground_truth", "dataset.calibration=0.25"),
        *("dataset.image_size=[32,48]", "dataset.resize=letterbox"),
        f"dataset.ignore={parts / 'look'}",
    )
    return run(cfg, tmp_path_factory.mktemp("runs") / "framed")


def scores_of(run_dir: Path) -> dict[str, float]:
    with (run_dir / "scores.csv").open(newline="") as file:
        return {row["image"]: float(row["score"]) for row in csv.DictReader(file)}


def test_maps_are_of_the_images_size_and_zero_where_nothing_is_looked_at(
    framed: RunResult, parts: Path
) -> None:
    scores = scores_of(framed.output_dir)
    assert len(scores) == 5
    for name, score in scores.items():
        image = Path(name)
        (file,) = framed.output_dir.glob(f"anomaly_maps/*/test/*/{image.stem}.tiff")
        anomaly_map = tifffile.imread(file)
        seen = np.asarray(Image.open(parts / "look" / image.relative_to(parts))) > 0
        assert anomaly_map.shape == seen.shape
        rows, columns = np.nonzero(anomaly_map)
        step = max(np.array(seen.shape) / (32, 48))  # of the network's pixels
        assert rows.min() > 4 - 2 * step and rows.max() < 20 + 2 * step
        assert columns.min() > 4 - 2 * step and columns.max() < 26 + 2 * step
        assert 0 < anomaly_map.max() <= score * 1.0001


def test_prediction_and_evaluation_give_the_scores_of_the_test(
    framed: RunResult, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_run(framed.output_dir)
    scores = scores_of(framed.output_dir)
    for name, score in scores.items():
        mask = parts / "look" / Path(name).relative_to(parts)
        found = loaded.trained.predict(name, mask)
        assert found.score == pytest.approx(score, rel=1e-5)
        assert found.valid is not None and (found.network_map[~found.valid] == 0).all()
    with pytest.raises(DataError, match="without a mask of what to look at"):
        loaded.predict(next(iter(scores)))
    assert evaluate([str(framed.output_dir), f"output={tmp_path / 'again'}"]) == 0
    assert scores_of(tmp_path / "again") == pytest.approx(scores, rel=1e-6)
    again = json.loads((tmp_path / "again" / "evaluation.json").read_text())
    assert framed.thresholds is not None
    assert again["thresholds"] == framed.thresholds.to_dict()


def test_predict_takes_the_masks_folder_and_refuses_to_go_without(
    framed: RunResult, parts: Path, tmp_path: Path
) -> None:
    given = [str(framed.output_dir), str(parts / "test" / "square"), f"output={tmp_path / 'out'}"]
    assert COMMAND.main(predict, given) == 1
    given += [f"ignore={parts / 'look'}", "overlays=true", "maps=true"]
    assert COMMAND.main(predict, given) == 0
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = scores_of(framed.output_dir)
    assert len(rows) == 2
    for row in rows:
        assert float(row["score"]) == pytest.approx(scores[row["image"]], rel=1e-5)


def test_pixel_figures_are_of_looked_at_pixels_and_a_lost_defect_is_told(
    framed: RunResult, parts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = build(load_run(framed.output_dir).cfg.dataset)
    images.prepare()
    assert "1 of 2 defects lie where nothing is looked at" in caplog.text
    (batch,) = images.test_dataloader()
    valid = batch["valid"]
    assert valid.shape == batch["masks"].shape and valid.dtype == torch.bool
    assert 0 < valid.float().mean() < 0.5
    images.train_with_pixels(False)
    assert set(next(iter(images.train_dataloader()))) == {"indices", "valid"}


def test_what_is_looked_at_makes_another_training(framed: RunResult, parts: Path) -> None:
    node = load_run(framed.output_dir).cfg.dataset
    digests = set()
    for changes in ({}, {"ignore": None}, {"ignore": [0.1, 0, 1, 1]}, {"resize": "stretch"}):
        images = build(OmegaConf.create({**node, **changes}))
        images.prepare()
        digests.add(images.content_digest)
    assert len(digests) == 4


def test_tiles_and_unknown_values_are_refused_before_anything_is_read() -> None:
    base = ("dataset=textures", "dataset.category=brick")
    for options, said in [
        (["dataset.resize=letterbox", "dataset.tile=[64,64]"], "does not go with resize=letterbox"),
        (["dataset.ignore=[0,0,1,1]", "dataset.tile=[64,64]"], "does not go with ignore"),
        (["dataset.ignore=[0,0,5]"], r"dataset.ignore must be .* a folder of masks"),
        (["dataset.ignore=[9,0,5,5]"], "dataset.ignore must be"),
        (["dataset.ignore=[0,0,5.5,7]"], "dataset.ignore must be"),
        (["dataset.resize=fill"], "dataset.resize must be one of stretch, letterbox"),
    ]:
        with pytest.raises(ConfigError, match=said):
            check(load_config(*base, *options))

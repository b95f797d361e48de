"""One network for two categories, from its configuration to its predictions."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdad import load_config, load_run, run
from rdad.config.mistakes import ConfigError
from rdad.detector.calibration import image_threshold
from rdad.evaluate import main as evaluate
from rdad.experiment.run import RunResult
from rdad.metrics import auroc
from rdad.results.text_table import metrics_table

PERIODS = {"fine": 1.5, "wide": 6.0}  # of the stripes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of stripes, in MVTec AD's layout; images of both have the same names."""
    root, random = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for category, period in PERIODS.items():
        for number in range(16):
            noise = random.normal(0, 5, (64, 64))
            stripes = 100 + 40 * np.sin(np.arange(64) / period) + noise
            kind = ("train/good", "train/good", "test/good", "test/square")[number // 4]
            mask = np.zeros((64, 64))
            if kind == "test/square":
                mask[20:30, 30:40] = 255
                _save(root / category / f"ground_truth/square/{number:03}_mask.png", mask)
            _save(root / category / kind / f"{number:03}.png", np.where(mask, 250, stripes))
    return root


def _save(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey.astype(np.uint8)).save(path)


Config = Callable[..., Any]


@pytest.fixture(scope="module")
def config(root: Path) -> Config:
    def composed(*overrides: str) -> Any:
        return load_config(
            *("backbone=resnet18", "model.pre_trained=false", "layers=layer12", "tracking=off"),
            *("trainer=cpu", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1"),
            *("dataset=mvtec_ad", f"dataset.root={root}", "dataset.image_size=[64,64]"),
            *("dataset.joint=true", "dataset.category=[wide,fine]", "dataset.validation=test"),
            *("dataset.calibration=0.25", *overrides),
        )

    return composed


@pytest.fixture(scope="module")
def joint(config: Config, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(config(), tmp_path_factory.mktemp("runs") / "joint")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_figures_are_those_of_the_scores_of_each_category_and_their_mean(joint: RunResult) -> None:
    each = []
    for category in PERIODS:
        rows = [row for row in rows_of(joint.output_dir) if row["category"] == category]
        scores, labels = zip(*((row["score"], row["label"] == "1") for row in rows), strict=True)
        each.append(auroc(np.array(scores, np.float32), np.array(labels)))
        assert len(rows) == 8 and joint.metrics[f"test/image_auroc/{category}"] == each[-1]
    assert joint.metrics["test/image_auroc"] == pytest.approx(sum(each) / 2)
    assert {"test/aupro/fine", "test/image_recall/wide", "test/seg_f1"} <= joint.metrics.keys()


def test_the_summary_has_a_line_a_category(joint: RunResult) -> None:
    said = metrics_table(joint.metrics, joint.thresholds)
    (line,) = (one for one in said.splitlines() if one.split()[:1] == ["fine"])
    names = ("image_auroc", "pixel_auroc", "aupro")
    assert line.split()[1:] == [f"{joint.metrics[f'test/{name}/fine']:.4f}" for name in names]
    alone = {"test/image_auroc": 0.5, "test/image_auroc/scratch": 0.4, "test/pixel_auroc": 0.6}
    assert "scratch" not in metrics_table(alone, None)


def test_files_of_both_categories_stand_apart(joint: RunResult) -> None:
    folder = joint.output_dir
    maps = {str(path.relative_to(folder / "anomaly_maps")) for path in folder.rglob("*.tiff")}
    assert {"fine/test/square/012.tiff", "wide/test/square/012.tiff"} <= maps and len(maps) == 16
    overlays = {path.name for path in (folder / "overlays").iterdir()}
    assert {"fine_good_008.png", "wide_good_008.png"} <= overlays and len(overlays) == 16
    assert "wide square" in (folder / "report.html").read_text()


def test_the_record_names_both_and_thresholds_are_common(joint: RunResult) -> None:
    record = json.loads((joint.output_dir / "run.json").read_text())
    assert record["params"]["category"] == "wide+fine" and "joint" not in record["params"]
    assert record["images"] == {"train": 12, "calibration": 4, "test": 16}
    assert joint.thresholds is not None and joint.thresholds.images == 4


def test_watched_figures_are_those_of_the_test(joint: RunResult) -> None:
    with (joint.output_dir / "history.csv").open(newline="") as file:
        (epoch,) = csv.DictReader(file)
    for name in ("image_auroc", "aupro/fine"):
        assert float(epoch[f"watch/{name}"]) == pytest.approx(joint.metrics[f"test/{name}"])


def test_predictions_and_an_evaluation_are_those_of_the_test(
    joint: RunResult, tmp_path: Path
) -> None:
    row = rows_of(joint.output_dir)[0]
    found = load_run(joint.output_dir).predict(row["image"])
    assert found.score == pytest.approx(float(row["score"]), rel=1e-5)
    assert evaluate([str(joint.output_dir), f"output={tmp_path / 'again'}"]) == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again == pytest.approx(joint.metrics, nan_ok=True)


def test_a_finished_run_is_known_and_its_training_serves_another(
    config: Config, joint: RunResult, tmp_path: Path
) -> None:
    assert run(config("resume=true"), joint.output_dir).metrics == joint.metrics
    with pytest.raises(ConfigError, match=r"category=fine\+wide \(was wide\+fine\)"):
        run(config("resume=true", "dataset.category=[fine,wide]"), joint.output_dir)
    run(config("mode=multiply", "artifacts.report=false"), tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["reused_from"] is not None


@pytest.fixture(scope="module")
def judged_apart(config: Config, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(config("thresholds.by=category"), tmp_path_factory.mktemp("apart"))


def test_each_category_is_judged_by_thresholds_of_its_own(
    joint: RunResult, judged_apart: RunResult
) -> None:
    common, found = joint.thresholds, judged_apart.thresholds
    assert common is not None and found is not None
    assert (found.image, found.pixel, found.scores) == (common.image, common.pixel, common.scores)
    assert sorted(found.by_category) == sorted(PERIODS) and not common.by_category
    own = [score for one in found.by_category.values() for score in one.scores]
    assert sorted(own) == list(found.scores)
    with (judged_apart.output_dir / "calibration.csv").open(encoding="utf-8") as file:
        held_back = list(csv.DictReader(file))
    for name, one in found.by_category.items():
        scores = sorted(float(row["score"]) for row in held_back if row["category"] == name)
        assert list(one.scores) == scores
        assert one.image == image_threshold(scores, one.image_rate)[0]
    for row in rows_of(judged_apart.output_dir):
        threshold = found.of(row["category"]).image
        assert int(row["predicted"]) == threshold.exceeded(float(row["score"]))
    for name in PERIODS:
        good = [row for row in rows_of(judged_apart.output_dir) if row["category"] == name]
        alarms = [int(row["predicted"]) for row in good if row["label"] == "0"]
        found_rate = judged_apart.metrics[f"test/image_false_alarm_rate/{name}"]
        assert found_rate == pytest.approx(np.mean(alarms))


def test_a_category_is_named_to_judge_by_its_thresholds(judged_apart: RunResult) -> None:
    trained, found = load_run(judged_apart.output_dir).trained, judged_apart.thresholds
    assert found is not None and trained.thresholds == found
    assert trained.judging(category="fine").thresholds == found.by_category["fine"]
    with pytest.raises(ConfigError, match="category=coarse: thresholds of its own have "):
        trained.judging(category="coarse")
    wider = trained.judging(image_rate=0.5).thresholds
    assert wider is not None
    for name, one in found.by_category.items():
        assert wider.of(name).image == image_threshold(one.scores, 0.5)[0]

"""`python -m rdad.train` as a user runs it."""

import csv
import json
import math
import signal
import time
from pathlib import Path

import commands
import numpy as np
import pytest
import tifffile
import torch
from image_folders import link_few, make_category
from mlflow_stores import new_store
from PIL import Image

from rdad import load_run

SMALL = [
    "backbone=resnet18",
    "dataset=mvtec_ad",
    "dataset.image_size=[64,96]",
    "trainer=cpu",
]
SCORES_ALONE = [
    "layers=layer1",
    "artifacts.maps=false",
    "artifacts.overlays=0",
    "artifacts.report=false",
]


def train(*arguments: str, folder: Path, **variables: str) -> commands.Done:
    return commands.run("-m", "rdad.train", *arguments, folder=folder, **variables)


@pytest.fixture(scope="module")
def data(
    assets: Path, resnet18_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """Real images, eight of each kind, and weights."""
    root = tmp_path_factory.mktemp("data")
    link_few(assets / "data" / "mvtec_ad" / "toothbrush", root / "toothbrush", most=8)
    named = [f"dataset.root={root}", "dataset.category=toothbrush"]
    return [*SMALL, *named, f"model.weights={resnet18_weights}"]


@pytest.fixture(scope="module")
def noise(resnet18_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Eight images to train on and four to test, where it does not matter what they show."""
    root = tmp_path_factory.mktemp("noise")
    make_category(root / "part")
    named = [f"dataset.root={root}", "dataset.category=part", "dataset.batch_size=4"]
    return [*SMALL, *named, f"model.weights={resnet18_weights}"]


@pytest.fixture(scope="module")
def finished(data: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small run with everything on, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    new_store(folder)
    words = ["-m", "rdad.train", *data, "trainer.max_epochs=2", "hydra.run.dir=run"]
    done = commands.run(*words, folder=folder, charts=True)
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def test_the_run_folder_holds_every_artifact(finished: tuple[Path, str]) -> None:
    run_dir, _ = finished
    tables = ("metrics.json", "scores.csv", "history.csv", "run.json")
    for name in (*tables, "train.log", "model.pt", "report.html"):
        assert (run_dir / name).stat().st_size > 0
    assert (run_dir / ".hydra" / "config.yaml").is_file()
    assert len(list((run_dir / "overlays").glob("*.png"))) == 16
    for curve in ("roc.png", "pro.png", "score_histogram.png", "loss.png"):
        with Image.open(run_dir / "curves" / curve) as picture:
            assert min(picture.size) > 200
    record = json.loads((run_dir / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["images"] == {"train": 7, "calibration": 1, "test": 16}


def test_maps_are_raw_floats_of_the_original_size_and_peak_near_the_score(
    finished: tuple[Path, str],
) -> None:
    run_dir, _ = finished
    maps = sorted((run_dir / "anomaly_maps" / "toothbrush" / "test").rglob("*.tiff"))
    assert len(maps) == 16
    with (run_dir / "scores.csv").open() as file:
        scores = {
            Path(row["image"]).stem: float(row["score"])
            for row in csv.DictReader(file)
            if row["defect_type"] == "defective"
        }
    anomaly_map = tifffile.imread(run_dir / "anomaly_maps/toothbrush/test/defective/000.tiff")
    assert anomaly_map.shape == (1024, 1024)
    assert anomaly_map.dtype == np.float32
    assert anomaly_map.max() == pytest.approx(scores["000"], rel=1e-3)


def test_the_printed_table_is_what_the_file_holds(finished: tuple[Path, str]) -> None:
    run_dir, printed = finished
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert set(metrics) == {
        *(f"test/image_{name}" for name in ("auroc", "ap", "f1_max")),
        *(f"test/pixel_{name}" for name in ("auroc", "ap", "f1_max")),
        "test/aupro",
        *(f"test/{what}_recall" for what in ("image", "pixel")),
        *(f"test/{what}_false_alarm_rate" for what in ("image", "pixel")),
        *("test/seg_f1", "test/region_recall", "test/false_regions"),
    }
    for name, value in metrics.items():
        assert f"{name:<27}  {value:.4f}" in printed
    assert f"thresholds  {load_run(run_dir).thresholds}" in printed
    assert "mlflow ui --backend-store-uri" in printed


def test_a_loaded_run_gives_the_scores_that_the_run_wrote(finished: tuple[Path, str]) -> None:
    run_dir, _ = finished
    loaded = load_run(run_dir)
    with (run_dir / "scores.csv").open() as file:
        row = next(csv.DictReader(file))
    image = Image.open(row["image"]).convert("RGB").resize((96, 64), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        assert float(loaded.model(pixels).max()) == pytest.approx(float(row["score"]), rel=1e-4)


def test_the_same_seed_gives_the_same_numbers_bit_for_bit(noise: list[str], tmp_path: Path) -> None:
    common = (*noise, *SCORES_ALONE, "trainer.max_epochs=2", "tracking=off")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = train(*common, f"seed={seed}", f"hydra.run.dir={name}", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    scores = {name: (tmp_path / name / "scores.csv").read_bytes() for name in "abc"}
    assert scores["a"] == scores["b"] != scores["c"]
    weights = {name: torch.load(tmp_path / name / "model.pt", weights_only=True) for name in "ab"}
    for part in ("bottleneck", "decoder"):
        for name, tensor in weights["a"][part].items():
            assert torch.equal(tensor, weights["b"][part][name]), name
    assert not (tmp_path / "mlflow.db").exists()


def test_cached_features_train_to_the_same_losses(noise: list[str], tmp_path: Path) -> None:
    losses = {}
    for cached in ("float32", "none"):
        done = train(
            *noise,
            *SCORES_ALONE,
            "trainer.max_epochs=2",
            "tracking=off",
            f"cache_features={cached}",
            f"hydra.run.dir=cached_{cached}",
            folder=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        with (tmp_path / f"cached_{cached}" / "history.csv").open() as file:
            losses[cached] = [float(row["train/loss"]) for row in csv.DictReader(file)]
    assert losses["float32"] == pytest.approx(losses["none"], rel=1e-3)


def test_a_dead_store_costs_nothing_but_the_exit_code(noise: list[str], tmp_path: Path) -> None:
    done = train(
        *noise,
        *SCORES_ALONE,
        "trainer.max_epochs=1",
        "hydra.run.dir=run",
        folder=tmp_path,
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )
    assert done.returncode == 3, done.stderr
    assert "python -m rdad.upload run" in done.stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert (tmp_path / "run" / "metrics.json").is_file()
    upload = ["-m", "rdad.upload", "run", "--uri", new_store(tmp_path / "later")]
    sent = commands.run(*upload, folder=tmp_path)
    assert sent.returncode == 0, sent.stderr


def test_an_interrupted_run_leaves_weights_that_load(noise: list[str], tmp_path: Path) -> None:
    endless = ["trainer.max_epochs=10000", "tracking=off", "hydra.run.dir=run"]
    process = commands.Command(["-m", "rdad.train", *noise, *endless], tmp_path)
    history = tmp_path / "run" / "history.csv"
    for _ in range(1200):
        if history.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130, printed + errors
    assert "Traceback" not in printed + errors
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert load_run(tmp_path / "run").metrics == {}


def test_validation_on_test_images_is_recorded_as_watched(noise: list[str], tmp_path: Path) -> None:
    done = train(
        *noise,
        *SCORES_ALONE,
        "trainer.max_epochs=2",
        "trainer.check_val_every_n_epoch=1",
        "dataset.validation=test",
        "tracking=off",
        "hydra.run.dir=run",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[1]["watch/image_auroc"]) == pytest.approx(
        json.loads((tmp_path / "run" / "metrics.json").read_text())["test/image_auroc"], abs=1e-6
    )


def test_own_folders_without_defects_train_and_say_what_is_undefined(
    assets: Path, resnet18_weights: Path, tmp_path: Path
) -> None:
    done = train(
        "backbone=resnet18",
        f"model.weights={resnet18_weights}",
        "dataset=folder",
        f"dataset.root={assets / 'data' / 'mvtec_ad' / 'toothbrush'}",
        "dataset.normal=train/good",
        "dataset.image_size=[64,64]",
        *SCORES_ALONE,
        "trainer.max_epochs=1",
        "objective=[test/au_spro,train_seconds]",  # the first is of another data set
        "tracking=off",
        "hydra.run.dir=run",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    defined = {name for name, value in metrics.items() if value is not None}
    assert defined == {f"test/{what}_false_alarm_rate" for what in ("image", "pixel")}
    values = load_run(tmp_path / "run").metrics
    assert all(math.isnan(value) for name, value in values.items() if name not in defined)
    log = (tmp_path / "run" / "train.log").read_text()
    assert "held out" in log
    assert "undefined: test/image_auroc, " in log


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.category=spoon", "part"),
        ("dataset.root=nowhere", "nowhere"),
        ("model.weights=nowhere.pth", "nowhere.pth"),
        ("model.backbone=resnet19", "resnet18"),
        ("trainer.accelerator=abacus", "abacus"),
    ],
)
def test_bad_input_gets_one_message_and_no_traceback(
    noise: list[str], tmp_path: Path, override: str, said: str
) -> None:
    done = train(*noise, override, "tracking=off", folder=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_train_together(noise: list[str], tmp_path: Path) -> None:
    done = train(
        *noise,
        *SCORES_ALONE,
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.max_epochs=2",
        "tracking=off",
        "hydra.run.dir=run",
        folder=tmp_path,
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    with (tmp_path / "run" / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4

"""Train once, score many: what shares a training, what does not, and that results are the same."""

import functools
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_folders import SIDE, make_category
from mlflow_stores import new_store, server_over
from omegaconf import OmegaConf, open_dict
from PIL import Image

from rdad import load_config, load_run, run
from rdad.config.parameters import parameters, training_settings
from rdad.runs.record import read_record
from rdad.training.reuse import claimed, training_fingerprint


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight small normal images and two to test, and a cache of this test's own."""
    monkeypatch.setenv("RDAD_CACHE_DIR", str(tmp_path / "cache"))
    make_category(tmp_path / "data" / "part")
    return tmp_path / "data"


def train(data: Path, name: str, *overrides: str) -> dict[str, Any]:
    """A run's record, with its raw scores."""
    cfg = load_config(
        "backbone=resnet18",
        "model.weights=null",
        "layers=layer12",
        "dataset=mvtec_ad",
        f"dataset.root={data}",
        "dataset.category=part",
        f"dataset.image_size=[{SIDE},{SIDE}]",
        "dataset.batch_size=4",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "tracking=off",
        "artifacts.maps=false",
        "artifacts.overlays=0",
        "artifacts.report=false",
        *overrides,
    )
    run_dir = data.parent / name
    run(cfg, run_dir)
    scores = (run_dir / "scores.csv").read_text()
    weights = torch.load(run_dir / "model.pt", weights_only=True)["decoder"]
    return read_record(run_dir) | {"scores": scores, "weights": weights}


def test_another_mode_and_blur_reuse_the_training_bit_for_bit(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(data, "first")
    assert first["trained"]
    changes = (("mode=multiply",), ("mode=multiply", "model.sigma=2"))
    reused = [train(data, f"reused{len(change)}", *change) for change in changes]
    anew = [train(data, f"anew{len(change)}", *change, "reuse=false") for change in changes]
    for taken, trained in zip(reused, anew, strict=True):
        assert not taken["trained"] and trained["trained"]
        assert taken["reused_from"] == str(data.parent / "first")
        assert taken["scores"] == trained["scores"] != first["scores"]
        assert all(torch.equal(trained["weights"][k], v) for k, v in taken["weights"].items())
    caplog.clear()
    load_run(data.parent / "reused1")
    assert "unfinished" not in caplog.text  # it is finished, though it trained nothing itself


SAME = {"data_digest": "a", "encoder_digest": "b"}


@functools.cache
def fingerprint(*overrides: str, **digests: str) -> str:
    settings = training_settings(load_config(*overrides))
    return training_fingerprint(settings, **{**SAME, **digests})


def test_code_of_ones_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    cfg = load_config()
    own = {"_target_": "parts_of_mine.losses.Loss"}
    settings = [training_settings(cfg) | {"loss": own}, training_settings(cfg)]
    with open_dict(cfg):
        cfg.dataset._target_ = "parts_of_mine.images"
    settings.append(training_settings(cfg))
    found = []
    for code in ("def Loss(): ...", "def Loss(): ... # changed"):
        (tmp_path / "parts_of_mine").mkdir(exist_ok=True)
        (tmp_path / "parts_of_mine" / "losses.py").write_text(code)
        found.append([training_fingerprint(one, **SAME) for one in settings])
    before, after = found
    assert before[1] == after[1] and len({*before}) == 3
    assert before[0] != after[0] and before[2] != after[2]
    (tmp_path / "parts_of_mine" / "losses.py").rename(tmp_path / "parts_of_mine" / "loss.py")
    assert training_fingerprint(settings[0], **SAME) != after[0]
    (tmp_path / "parts_of_mine_alone.py").write_text("def Loss(): ...")
    alone = training_settings(load_config()) | {"loss": {"_target_": "parts_of_mine_alone.Loss"}}
    before_it = training_fingerprint(alone, **SAME)
    (tmp_path / "parts_of_mine_alone.py").write_text("def Loss(): return 1")
    assert training_fingerprint(alone, **SAME) != before_it
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    typed = training_settings(load_config()) | {"loss": {"_target_": "__main__.Loss"}}
    assert training_fingerprint(typed, **SAME)  # no file has it


@pytest.mark.parametrize(
    "change",
    [
        "seed=1",
        "layers=layer1",
        "loss=local_cosine",
        "loss=hard_mining",
        "backbone=resnet18",
        "optimizer=adam model.lr=0.001",
        "model.beta1=0.9",
        "optimizer=adamw",
        "model.weight_decay=0.1",
        "model.clip_norm=1",
        "schedule=step",
        "model.warmup_steps=1",
        "model.bottleneck_dropout=0.2",
        "model.feature_jitter=0.1",
        "trainer.max_steps=5",
        "trainer.max_epochs=2",
        "precision=bf16",
        "dataset.batch_size=3",
        "dataset.image_size=[64,128]",
        "dataset.validation=split",
        "cache_features=none",
        "compile=default",
    ],
)
def test_a_change_in_what_training_reads_is_another_training(change: str) -> None:
    assert fingerprint(*change.split()) != fingerprint()


def test_options_that_came_later_are_no_part_of_a_training_at_their_defaults() -> None:
    cfg = load_config()
    settings = training_settings(cfg)
    later = {("model", "optimizer"), ("model", "schedule"), ("trainer", "max_steps")}
    assert all(key in cfg[node] and key not in settings[node] for node, key in later)
    for key in ("lr", "beta1", "sigma", "layers", "loss"):
        assert (key in settings["model"]) == (key != "sigma")


def test_of_a_training_in_steps_the_epochs_do_not_count() -> None:
    steps = "trainer.max_steps=5"
    assert fingerprint(steps) == fingerprint(steps, "trainer.max_epochs=3")
    assert fingerprint(steps) != fingerprint("trainer.max_steps=6")


@pytest.mark.parametrize("digest", SAME)
def test_other_pixels_or_encoder_weights_are_another_training(digest: str) -> None:
    assert fingerprint(**{digest: "c"}) != fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        "mode=multiply",
        "model.sigma=2",
        "score=top_percent",
        "evaluation.fpr_limit=0.1",
        "tracking=off",
        "model.weights=x",
    ],
)
def test_what_acts_after_training_is_not(change: str) -> None:
    assert fingerprint(change) == fingerprint()


@pytest.mark.parametrize("node", ["model.", "dataset.", "trainer.", "callbacks.", ""])
def test_an_option_that_nobody_listed_is_another_training_and_a_parameter(node: str) -> None:
    cfg = load_config()
    before = training_settings(cfg), parameters(cfg, "data", "part")
    with open_dict(cfg):
        OmegaConf.update(cfg, f"{node}brightness", 1.5, force_add=True)
    after = training_settings(cfg), parameters(cfg, "data", "part")
    assert training_fingerprint(after[0], **SAME) != training_fingerprint(before[0], **SAME)
    if node != "callbacks.":  # shown by the run folder
        assert set(after[1].items()) - set(before[1].items()) == {("brightness", 1.5)}


def test_one_pixel_of_a_training_image_makes_it_another_training(data: Path) -> None:
    train(data, "first", "dataset.calibration=0")
    path = data / "part" / "train" / "good" / "003.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    assert train(data, "changed", "dataset.calibration=0")["trained"]


def test_a_test_image_does_not(data: Path) -> None:
    train(data, "first")
    path = data / "part" / "test" / "good" / "000.png"
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(path)
    assert not train(data, "changed")["trained"]


def test_a_training_whose_folder_is_gone_is_done_again(data: Path) -> None:
    train(data, "first")
    (data.parent / "first" / "model.pt").unlink()
    assert train(data, "second")["trained"]


def test_of_two_that_start_together_one_waits(data: Path) -> None:
    order: list[str] = []

    def job(name: str) -> None:
        with claimed("same"):
            order.append(f"{name} begins")
            threading.Event().wait(0.2)
            order.append(f"{name} ends")

    jobs = [threading.Thread(target=job, args=(name,)) for name in ("a", "b")]
    for one in jobs:
        one.start()
    for one in jobs:
        one.join()
    assert order[0].split()[0] == order[1].split()[0] != order[2].split()[0]
    records = [
        train(data, name, f"mode={mode}") for name, mode in (("x", "add"), ("y", "multiply"))
    ]
    assert [record["trained"] for record in records] == [True, False]


def test_a_tracking_server_hands_a_training_to_another_machine(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path / "store")
    with server_over(store, tmp_path / "artifacts") as (address, _):
        tracked = ("tracking=mlflow", f"tracking.uri={address}", "tracking.system_metrics=false")
        first = train(data, "first", *tracked)
        monkeypatch.setenv("RDAD_CACHE_DIR", str(tmp_path / "another machine"))
        second = train(data, "second", "mode=multiply", *tracked)
    assert first["trained"]
    assert not second["trained"]
    assert second["reused_from"] == f"run {first['tracking']['run_id']} of {address}"

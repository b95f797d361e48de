"""A training that starts from another one: `model.start_from`."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from trained_runs import make_trained_run, make_weights

from rdad import load_config, run
from rdad.compare import main
from rdad.config.checks import check_places
from rdad.config.mistakes import ConfigError
from rdad.config.spelling import spelled
from rdad.experiment.again import train_again
from rdad.experiment.stages import network_of
from rdad.model.weights import read_plain
from rdad.runs.files import MODEL_FILE
from rdad.runs.record import read_record


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "resnet18.pth")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    return make_trained_run(tmp_path_factory.mktemp("trained"), weights=weights)


def config(weights: Path, *overrides: str) -> Any:
    return load_config(
        *("backbone=resnet18", f"model.weights={weights}", "tracking=off", "trainer=cpu"),
        *("trainer.max_epochs=1", "dataset.image_size=[64,64]", "artifacts.report=false"),
        *("artifacts.overlays=0", "artifacts.maps=false", "model.lr=1e-9", *overrides),
    )


def test_a_run_goes_on_from_the_weights_of_another_and_says_so(
    weights: Path, trained: Path, tmp_path: Path
) -> None:
    cfg = config(weights, f"model.start_from={trained}")
    run(cfg, tmp_path)
    before, after = (read_plain(one / MODEL_FILE) for one in (trained, tmp_path))
    convolutions = {name: one for name, one in before["decoder"].items() if one.ndim == 4}
    assert len(convolutions) > 10
    for name, one in convolutions.items():  # a step at a rate of 1e-9
        torch.testing.assert_close(after["decoder"][name], one, atol=1e-7, rtol=0)
    assert read_record(tmp_path)["params"]["start_from"] == str(trained)


def test_a_start_is_part_of_what_a_training_is_by_content(
    weights: Path, trained: Path, tmp_path: Path
) -> None:
    from rdad.config.parameters import training_settings
    from rdad.training.reuse import training_fingerprint

    assert "start_from" not in training_settings(config(weights))["model"]
    settings = training_settings(config(weights, f"model.start_from={trained}"))
    assert settings["model"]["start_from"] == str(trained)
    found = {
        training_fingerprint(one, data_digest="", encoder_digest="")
        for one in (settings, training_settings(config(weights)))
    }
    assert len(found) == 2


def test_a_start_of_other_layers_or_another_encoder_is_refused(
    weights: Path, trained: Path, tmp_path: Path
) -> None:
    start = f"model.start_from={trained / MODEL_FILE}"
    with pytest.raises(ConfigError, match=r"trained on layer1\+layer2\+layer3, and this is layer1"):
        network_of(config(weights, start, "layers=layer1"))
    with pytest.raises(ConfigError, match=r"model\.start_from: .*other encoder weights"):
        network_of(config(weights, start, "model.pre_trained=false"))


def test_a_start_that_is_not_there_is_told_before_anything_is_built(weights: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.start_from: there is no run or file gone"):
        check_places(config(weights, "model.start_from=gone"))


def test_false_alarms_become_good_images_of_a_run_that_goes_on_and_is_compared(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0)
    for name in (*(f"good/{n}" for n in range(6)), "fine/0", "fine/1", "bad/0", "bad/1"):
        path = tmp_path / "my photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    own = (
        *("dataset=folder", f"dataset.root='{tmp_path}/my photos'", "dataset.normal=good"),
        *("dataset.normal_test=fine", "dataset.defects=bad", "dataset.calibration=0"),
    )
    first, second = tmp_path / "first run", tmp_path / "second run"
    cfg = config(weights, *own)
    run(cfg, first)
    told = train_again(cfg, first)
    assert told is not None
    (listed,), command = shlex.split(told["list"]), shlex.split(told["command"])
    Path(listed).write_text(f"{tmp_path}/my photos/fine/1.png\n")
    assert command[:3] == ["python", "-m", "rdad.train"]
    run(config(weights, *own, *spelled(command[3:])), second)
    images = [read_record(one)["images"] for one in (first, second)]
    assert [(one["train"], one["test"]) for one in images] == [(6, 4), (7, 3)]
    assert read_record(second)["params"]["start_from"] == str(first)
    assert main([str(first), str(second)]) == 0
    assert "2 jobs: 2 finished" in capsys.readouterr().out


def test_a_data_set_that_takes_no_list_has_no_command_to_go_on(weights: Path) -> None:
    assert train_again(config(weights), Path()) is None

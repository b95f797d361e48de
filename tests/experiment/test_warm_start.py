"""A training that starts from another one: `model.start_from`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trained_runs import make_trained_run, make_weights

from rdad import load_config, run
from rdad.config.compose import ConfigError, check_places
from rdad.detector.model_file import MODEL_FILE
from rdad.experiment.stages import network_of
from rdad.model.weights import read_plain
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

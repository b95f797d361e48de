"""A model is opened from wherever it is, and whatever is wrong with the source is said."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from intruder import Intruder
from mlflow import MlflowClient
from mlflow_stores import dead_address, new_store, only_run, server_over
from trained_runs import make_trained_run, make_weights

from rdad.detector.loaded_run import LoadedRun
from rdad.detector.model_file import load_trained_model
from rdad.detector.trained_model import TrainedModel
from rdad.experiment.open_model import open_model
from rdad.model.encoder import Encoder
from rdad.model.rd4ad import read_rd4ad_checkpoint
from rdad.tracking.models import register
from rdad.upload import upload

PIXELS = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def uri(run_dir: Path) -> str:
    """A store with the run, and its model registered as toothbrush with the alias champion."""
    return registered(run_dir, run_dir.parent / "store")


def registered(run_dir: Path, folder: Path) -> str:
    uri = new_store(folder)
    upload(run_dir, uri=uri)
    register(only_run(uri).info.run_id, name="toothbrush", alias="champion", tracking_uri=uri)
    return uri


def same(one: LoadedRun | TrainedModel, other: LoadedRun | TrainedModel) -> bool:
    """Whether both say the same of a picture, to the last bit."""
    maps = [model.predict(PIXELS).anomaly_map for model in (one, other)]
    return np.array_equal(*maps) and one.thresholds == other.thresholds


def test_a_run_folder_gives_the_run(run_dir: Path):
    loaded = open_model(run_dir)
    assert isinstance(loaded, LoadedRun)
    assert loaded.run_dir == run_dir
    assert loaded.cfg.seed == 0


def test_a_model_file_gives_the_network_and_its_thresholds(run_dir: Path, tmp_path: Path):
    shutil.copy(run_dir / "model.pt", tmp_path / "brick.pt")
    model = open_model(tmp_path / "brick.pt")
    assert isinstance(model, TrainedModel)
    assert model.name == "brick"
    assert same(model, open_model(run_dir))


def test_a_run_whose_folder_is_here_is_read_from_there(run_dir: Path, uri: str):
    loaded = open_model(only_run(uri).info.run_id, tracking_uri=uri)
    assert isinstance(loaded, LoadedRun)
    assert loaded.run_dir == run_dir


def test_mlflow_gives_a_run_whose_folder_and_weights_are_gone(tmp_path: Path):
    weights = make_weights(tmp_path / "resnet18.pth")
    made = make_trained_run(tmp_path / "run", weights=weights)
    uri = registered(made, tmp_path / "store")
    before = open_model(made)
    (made / "model.pt").unlink()
    weights.unlink()
    assert same(open_model(only_run(uri).info.run_id, tracking_uri=uri), before)
    shutil.rmtree(made)
    run_id = only_run(uri).info.run_id
    for source in (run_id, "models:/toothbrush@champion", "models:/toothbrush/1"):
        loaded = open_model(source, tracking_uri=uri)
        assert isinstance(loaded, LoadedRun)
        assert (loaded.run_dir, loaded.cfg.seed) == (None, 0)
        assert loaded.record["status"] == "finished"
        assert loaded.metrics["test/image_auroc"] == 0.975
        assert same(loaded, before)


def test_a_server_gives_what_a_database_gives(run_dir: Path, tmp_path: Path):
    with server_over(new_store(tmp_path / "store"), tmp_path / "artifacts") as (address, _):
        assert "as run" in upload(run_dir, uri=address)
        run_id = only_run(address).info.run_id
        register(run_id, name="toothbrush", alias="champion", tracking_uri=address)
        loaded = open_model("models:/toothbrush@champion", tracking_uri=address)
        assert same(loaded, open_model(run_dir))


def test_a_store_is_found_by_the_environment(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(FileNotFoundError, match=rf"no MLflow store sqlite:///{tmp_path}/mlflow"):
        open_model("models:/toothbrush@champion")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert isinstance(open_model("models:/toothbrush@champion"), LoadedRun)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("0" * 32, "has no run 0000"),
        ("models:/screw@champion", "has no registered model screw; it has toothbrush"),
        ("models:/toothbrush@rival", "toothbrush has @champion, 1"),
        ("models:/toothbrush/7", "toothbrush has @champion, 1"),
    ],
)
def test_what_a_store_does_not_have_is_said_with_what_it_has(source: str, message: str, uri: str):
    with pytest.raises(FileNotFoundError, match=message):
        open_model(source, tracking_uri=uri)


def test_a_registered_model_is_known_among_any_number_of_others(tmp_path: Path):
    uri = new_store(tmp_path / "store")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    for name in (*(f"brush{number}" for number in range(20)), "screw"):
        client.create_registered_model(name)
    client.create_model_version("screw", tmp_path.as_uri())
    with pytest.raises(FileNotFoundError, match="has no models:/screw@champion; screw has 1"):
        open_model("models:/screw@champion", tracking_uri=uri)


def test_a_run_that_names_no_folder_is_told_as_such(tmp_path: Path):
    uri = new_store(tmp_path / "store")
    begun = MlflowClient(tracking_uri=uri).create_run("0")
    with pytest.raises(FileNotFoundError, match=r"has no model in .*, and names no folder$"):
        open_model(begun.info.run_id, tracking_uri=uri)


@pytest.mark.parametrize("source", ["models:/toothbrush", "models:/", "models:/a/b/c"])
def test_an_address_that_cannot_be_read_is_said_with_those_that_can(source: str, uri: str):
    with pytest.raises(ValueError, match="allowed are models:/<name>@<alias> and models:/<name>/<"):
        open_model(source, tracking_uri=uri)


def test_a_store_that_does_not_answer_is_named(uri: str):
    address = dead_address()
    with pytest.raises(ConnectionError, match=address):
        open_model("models:/toothbrush@champion", tracking_uri=address)


def test_a_run_without_a_model_is_told_apart(run_dir: Path, tmp_path: Path):
    made = make_trained_run(tmp_path / "run")
    (made / ".hydra/config.yaml").write_text("tracking: {log_model: false}\n")
    uri = new_store(tmp_path / "store")
    upload(made, uri=uri)
    shutil.rmtree(made)
    with pytest.raises(FileNotFoundError, match=r"has no model in .*log_model was false"):
        open_model(only_run(uri).info.run_id, tracking_uri=uri)


def test_what_is_not_there_is_said_with_all_that_is_allowed(tmp_path: Path):
    for source in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match="allowed are a run folder, a model"):
            open_model(source)


@pytest.mark.parametrize("content", [{"a": 1}, [1], {"format": "rdad-model-0"}], ids=repr)
def test_a_file_of_another_kind_is_refused_with_all_that_is_allowed(
    content: object, tmp_path: Path
):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is neither .*; allowed are a run folder"):
        open_model(tmp_path / "other.pt")


def test_a_pipe_is_no_model_no_checkpoint_and_no_weights(tmp_path: Path):
    pipe = tmp_path / "pipe.pt"
    os.mkfifo(pipe)

    def as_weights(path: Path) -> Encoder:
        return Encoder("resnet18", ["layer1"], weights=str(path))

    for load in (open_model, load_trained_model, read_rd4ad_checkpoint, as_weights):
        with pytest.raises(ValueError, match=r"pipe\.pt'? is a named pipe, not a file"):
            load(pipe)


def test_a_checkpoint_of_the_authors_needs_its_backbone_and_gives_their_maps(
    assets: Path, resnet18_weights: Path
):
    path = assets / "reference" / "rd4ad_resnet18.pt"
    with pytest.raises(ValueError, match="does not say its backbone; name it, as in backbone="):
        open_model(path)
    model = open_model(path, backbone="resnet18", weights=resnet18_weights)
    stored = torch.load(path, weights_only=True)
    images = [assets / "data" / "mvtec_ad" / "toothbrush" / name for name in stored["images"]]
    maps = [model.predict(image).network_map for image in images]
    np.testing.assert_allclose(maps, stored["map_add"].numpy(), rtol=0, atol=1e-5)
    assert model.thresholds is None


def test_what_is_a_checkpoints_alone_is_refused_elsewhere(run_dir: Path):
    for source in (run_dir, run_dir / "model.pt"):
        with pytest.raises(ValueError, match=r"backbone and image_size can be named for a checkpo"):
            open_model(source, backbone="resnet18", image_size=(64, 64))


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_a_file_with_code_is_refused_and_the_code_does_not_run(kind: str, tmp_path: Path):
    intruder = Intruder(tmp_path / "ran")
    content = {
        "model": {"format": "rdad-model-1", "arguments": intruder},
        "checkpoint": {"bn": {"conv1.weight": intruder}, "decoder": {}},
    }[kind]
    torch.save(content, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="holds more than tensors and plain data; it was not load"):
        open_model(tmp_path / "evil.pt", backbone="resnet18" if kind == "checkpoint" else None)
    assert not (tmp_path / "ran").exists()


def test_encoder_weights_with_code_are_refused_and_the_code_does_not_run(
    run_dir: Path, tmp_path: Path
):
    torch.save({"conv1.weight": Intruder(tmp_path / "ran")}, tmp_path / "evil.pth")
    made = make_trained_run(tmp_path / "run", weights=make_weights(tmp_path / "good.pth"))
    with pytest.raises(ValueError, match=r"evil\.pth is no readable file of tensors"):
        open_model(made, weights=tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()

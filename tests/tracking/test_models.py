"""Each finished run leaves in MLflow a model that brings no code; models that do are refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
import yaml
from intruder import Intruder
from mlflow import MlflowClient
from mlflow.models import Model
from mlflow.pyfunc.model import PythonModel
from mlflow_stores import contents, new_store, only_run
from trained_runs import make_trained_run, make_weights, thresholds

from rdad import served_model
from rdad.detector.calibration import with_image_value
from rdad.experiment.open_model import open_model
from rdad.experiment.rescore_thresholds import keep
from rdad.register import main
from rdad.tracking import MlflowTracker
from rdad.tracking.model_package import COMPUTING, run_inside
from rdad.tracking.models import register
from rdad.tracking.store import Store
from rdad.tracking.tags import PARENT_VARIABLE
from rdad.upload import upload

PIXELS = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return new_store(tmp_path / "store")


def tracked(uri: str, run_dir: Path, status: str = "FINISHED", **settings: Any) -> MlflowTracker:
    tracker = MlflowTracker(uri, system_metrics=False, **settings)
    tracker.start(experiment="textures-brick", run_name="brick", params={"mode": "add"}, tags={})
    tracker.finish(run_dir, status, {"test/image_auroc": 0.5})  # type: ignore[arg-type]
    return tracker


def models(uri: str) -> list[Any]:
    return list(MlflowClient(tracking_uri=uri).search_logged_models(["1"]))


def folder_of(model: Any) -> Path:
    return Path(model.artifact_location.removeprefix("file://"))


def test_a_finished_run_leaves_one_whole_model_with_signature_and_example(uri: str, run_dir: Path):
    tracker = tracked(uri, run_dir)
    assert (tracker.error, tracker.model_error) == (None, None)
    (model,) = models(uri)
    assert (model.name, model.status, model.params) == ("model", "READY", {"mode": "add"})
    run = only_run(uri)
    assert model.source_run_id == run.info.run_id
    assert run.outputs is not None
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    described = Model.load(str(folder_of(model)))
    assert (described.run_id, described.model_id) == (run.info.run_id, model.model_id)
    assert described.signature.inputs.input_names() == ["image"]
    outputs = ["score", "normalised_score", "label", "anomaly_map", "regions"]
    assert described.signature.outputs.input_names() == outputs
    example: Any = described.load_input_example(str(folder_of(model)))
    assert len(example) == 2


def test_a_logged_model_holds_no_code(uri: str, run_dir: Path):
    tracked(uri, run_dir)
    folder = folder_of(*models(uri))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "input_example.json",
        "serving_input_example.json",
        "data/model.pt",
        "data/run.json",
        "data/metrics.json",
        "data/.hydra/config.yaml",
    }
    flavors = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    assert flavors["python_function"]["loader_module"] == "rdad.served_model"
    assert torch.load(folder / "data/model.pt", weights_only=True)["encoder"]
    needed = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in needed] == [*COMPUTING]


def test_a_model_is_sent_once(uri: str, run_dir: Path):
    first = tracked(uri, run_dir)
    again = MlflowTracker(uri, system_metrics=False)
    again.start(experiment="", run_name="", params={}, tags={}, run_id=first.run_id)
    again.finish(run_dir, "FINISHED", {})
    assert len(models(uri)) == 1


def test_a_model_whose_sending_broke_off_is_replaced(
    uri: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_model_artifacts", gone)
        tracker = tracked(uri, run_dir)
    assert "gone" in str(tracker.error)
    (unfinished,) = models(uri)
    again = MlflowTracker(uri, system_metrics=False)
    again.start(experiment="", run_name="", params={}, tags={}, run_id=tracker.run_id)
    again.finish(run_dir, "FINISHED", {})
    (whole,) = models(uri)
    assert (again.error, whole.status) == (None, "READY")
    assert whole.model_id != unfinished.model_id


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_a_run_that_did_not_finish_leaves_no_model(uri: str, run_dir: Path, status: str):
    tracked(uri, run_dir, status)
    assert models(uri) == []


def job_of_a_sweep(uri: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowTracker:
    client = MlflowClient(tracking_uri=uri)
    sweep = client.create_run(Store(uri).experiment_id(client, "textures-brick"))
    monkeypatch.setenv(PARENT_VARIABLE, sweep.info.run_id)
    tracker = tracked(uri, run_dir)
    assert (tracker.error, tracker.model_error) == (None, None)
    return tracker


def test_the_model_of_a_sweeps_job_has_no_encoder_and_no_room_of_its_own(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = make_weights(tmp_path / "resnet18.pth")
    run_dir = make_trained_run(tmp_path / "run", weights=weights)
    before = open_model(run_dir).predict(PIXELS).anomaly_map
    tracker = job_of_a_sweep(uri, run_dir, monkeypatch)
    (model,) = models(uri)
    sent = folder_of(model) / "data/model.pt"
    assert sent.samefile(run_dir / "model.pt")
    shutil.rmtree(run_dir)
    opened = open_model(str(tracker.run_id), tracking_uri=uri)
    assert np.array_equal(opened.predict(PIXELS).anomaly_map, before)

    moved = weights.rename(tmp_path / "moved.pth")
    with pytest.raises(
        ValueError, match=r"the encoder of .* cannot be built again: weights '.*resn"
    ):
        open_model(str(tracker.run_id), tracking_uri=uri)
    with pytest.raises(ValueError, match=r"the encoder of .* cannot be built again") as refused:
        served_model._load_pyfunc(str(sent.parent))
    assert "rdad.register" in refused.value.__notes__[0]

    named: dict[str, Any] = {"name": "brick", "tracking_uri": uri}
    with pytest.raises(ValueError, match="cannot be built again"):
        register(str(tracker.run_id), **named)
    torch.save({key: 2 * value for key, value in torch.load(moved).items()}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="was trained with other encoder weights than"):
        register(str(tracker.run_id), weights=str(tmp_path / "other.pth"), **named)
    for _ in range(2):
        assert register(str(tracker.run_id), weights=str(moved), **named) == 1
    moved.unlink()
    whole = open_model("models:/brick/1", tracking_uri=uri)
    assert np.array_equal(whole.predict(PIXELS).anomaly_map, before)


@pytest.mark.parametrize("log_encoder", [True, False])
def test_whether_a_model_has_its_encoder_can_be_said(log_encoder: bool, uri: str, tmp_path: Path):
    run_dir = make_trained_run(tmp_path / "run", weights=make_weights(tmp_path / "resnet18.pth"))
    tracked(uri, run_dir, log_encoder=log_encoder)
    content = torch.load(folder_of(*models(uri)) / "data/model.pt", weights_only=True)
    assert ("encoder" in content) == log_encoder


def test_models_are_not_sent_where_that_is_not_wanted(uri: str, run_dir: Path):
    assert tracked(uri, run_dir, log_model=False).error is None
    assert models(uri) == []


def test_a_model_that_cannot_be_put_together_costs_the_run_nothing_else(
    uri: str, run_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run/model.pt").write_bytes(b"damaged")
    tracker = tracked(uri, tmp_path / "run")
    assert tracker.error is None
    assert "model.pt is damaged" in str(tracker.model_error)
    assert "gets no model of this run" in caplog.text
    assert "scores.csv" in contents(uri, only_run(uri))["artifacts"]
    assert models(uri) == []


def test_an_upload_sends_the_model_and_says_where_it_cannot(
    uri: str, run_dir: Path, tmp_path: Path
):
    shutil.copytree(run_dir, tmp_path / "whole")
    assert upload(tmp_path / "whole", uri=uri).endswith(only_run(uri).info.run_id)
    assert len(models(uri)) == 1
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run/model.pt").unlink()
    assert ", without its model: no model.pt in" in upload(tmp_path / "run", uri=uri)


def test_a_registered_model_stays_one_version_and_its_alias_moves(
    uri: str, run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for number in (1, 2):
        shutil.copytree(run_dir, tmp_path / f"run{number}")
        upload(tmp_path / f"run{number}", uri=uri)
        assert main([str(tmp_path / f"run{number}"), "name=brick", "alias=champion"]) == 0
    printed = capsys.readouterr().out
    assert "models:/brick@champion is version 2 of brick" in printed
    assert "  python -m rdad.serve models:/brick@champion\n" in printed
    assert "mlflow models serve --env-manager local" in printed
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert client.get_registered_model("brick").aliases == {"champion": 2}
    older = client.get_model_version("brick", "1").run_id
    assert register(str(older), name="brick", alias="champion", tracking_uri=uri) == 1
    assert client.get_registered_model("brick").aliases == {"champion": 1}


def test_a_name_with_an_apostrophe_is_found_again(uri: str, run_dir: Path):
    run_id = str(tracked(uri, run_dir).run_id)
    for _ in range(2):
        assert register(run_id, name="Ann's brick", tracking_uri=uri) == 1
    with pytest.raises(FileNotFoundError, match=r"has no models:/Ann's brick/2; .* has 1$"):
        open_model("models:/Ann's brick/2", tracking_uri=uri)
    with pytest.raises(ValueError, match="it may hold one kind of quotes"):
        register(run_id, name='Ann\'s "brick"', tracking_uri=uri)


def test_a_model_with_another_threshold_is_a_model_of_its_own(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    own, chosen = thresholds(1.2), thresholds(1.7)
    assert own is not None and chosen is not None
    make_trained_run(tmp_path / "run", thresholds=own.to_dict())
    upload(tmp_path / "run", uri=uri)

    def registered(*options: str) -> str:
        assert main([str(tmp_path / "run"), "name=brick", *options]) == 0
        return capsys.readouterr().out

    def image_threshold(version: int) -> float:
        opened = open_model(f"models:/brick/{version}", tracking_uri=uri)
        assert opened.thresholds is not None
        return opened.thresholds.image.value

    assert "thresholds  image 1.2 (2 % false alarms, guaranteed by 50 images)" in registered()
    said = "thresholds  image 1.5 (given, 0 of 50 good images that were held back lie above)"
    for _ in range(2):
        assert said in (printed := registered("threshold=1.5"))
        assert "models:/brick/2 is version 2" in printed
    assert "models:/brick/1 is version 1" in registered()
    assert [image_threshold(version) for version in (1, 2)] == [pytest.approx(1.2), 1.5]

    keep(tmp_path / "run", chosen, "today")
    assert "models:/brick/3 is version 3" in registered()
    assert image_threshold(3) == pytest.approx(1.7)


def test_a_model_with_another_threshold_of_a_category_is_a_model_of_its_own(
    uri: str, tmp_path: Path
):
    """A rate may move a category's threshold where that of all, read at a place, stays."""
    own = thresholds(1.2)
    assert own is not None
    run_id = str(tracked(uri, make_trained_run(tmp_path / "run")).run_id)
    for version, value in ((1, 1.5), (2, 1.7), (2, 1.7)):
        chosen = replace(own, by_category={"brick": with_image_value(own, value)})
        named: dict[str, Any] = {"name": "brick", "tracking_uri": uri}
        assert register(run_id, chosen=lambda _, it=chosen: it, **named) == version
        opened = open_model(f"models:/brick/{version}", tracking_uri=uri)
        assert opened.thresholds == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=brick", "threshold=0"], "threshold must be above 0"),
        (["name=brick"], "is not in MLflow; send it with  python -m rdad.upload"),
        (["name=a@b"], "is not in MLflow"),
        ([], "name must be given"),
    ],
)
def test_what_cannot_be_registered_gives_one_message(
    arguments: list[str], message: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(run_dir), *arguments]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", ["", "a@b", "a/b", "a:b"])
def test_a_name_that_no_address_could_hold_is_refused(name: str, uri: str):
    with pytest.raises(ValueError, match="nor hold any of / @ :"):
        register("0" * 32, name=name, tracking_uri=uri)


def test_an_alias_that_mlflow_keeps_for_itself_is_refused(uri: str, run_dir: Path):
    run_id = tracked(uri, run_dir).run_id
    with pytest.raises(ValueError, match=r"MLflow refuses it: .*latest"):
        register(str(run_id), name="brick", alias="latest", tracking_uri=uri)


class Code(PythonModel):
    """Somebody's model as MLflow pickles it, which leaves a file behind when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.intruder = Intruder(trace)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


def register_folder(uri: str, folder: Path, name: str) -> None:
    """Put an MLflow model that somebody made into the registry."""
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model(name)
    client.create_model_version(name, folder.as_uri())
    client.set_registered_model_alias(name, "champion", "1")


def test_a_pickled_model_out_of_mlflow_is_refused_before_it_is_unpickled(uri: str, tmp_path: Path):
    python_model = Code(tmp_path / "ran")
    mlflow.pyfunc.save_model(tmp_path / "evil", python_model=python_model, pip_requirements=[])
    register_folder(uri, tmp_path / "evil", "evil")
    with pytest.raises(ValueError, match=r"evil@champion is an MLflow model that another program"):
        open_model("models:/evil@champion", tracking_uri=uri)
    assert not (tmp_path / "ran").exists()


CHANGES: dict[str, dict[str, Any]] = {
    "loader": {"loader_module": "os"},
    "code": {"code": "code"},
    "model from code": {"model_code_path": "model.py"},
    "pickle": {"python_model": "python_model.pkl"},
    "data elsewhere": {"data": "../../other"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_description_that_would_bring_in_code_is_refused(change: dict[str, Any], tmp_path: Path):
    flavor = {"loader_module": "rdad.served_model", "data": "data", "code": None}
    write_description(tmp_path, {"python_function": flavor})
    assert run_inside(tmp_path) == tmp_path / "data"
    write_description(tmp_path, {"python_function": flavor | change})
    with pytest.raises(ValueError, match="could run code, so it was not opened; allowed are model"):
        run_inside(tmp_path)
    write_description(tmp_path, {"python_function": flavor, "sklearn": {}})
    with pytest.raises(ValueError, match="sklearn"):
        run_inside(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "flavors: 3", "a: [", "!!python/object/new:os.x {}"])
def test_a_description_that_is_none_is_refused(text: str, tmp_path: Path):
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(ValueError, match="no MLflow model: its MLmodel cannot be read"):
        run_inside(tmp_path)


def write_description(folder: Path, flavors: dict[str, Any]) -> None:
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))


def test_a_model_file_with_code_inside_an_mlflow_model_is_refused(
    uri: str, run_dir: Path, tmp_path: Path
):
    tracked(uri, run_dir)
    folder = folder_of(*models(uri))
    torch.save({"format": Intruder(tmp_path / "ran")}, folder / "data/model.pt")
    register_folder(uri, folder, "evil")
    message = "holds more than tensors and plain data; it was not loaded"
    with pytest.raises(ValueError, match=message):
        open_model("models:/evil@champion", tracking_uri=uri)
    with pytest.raises(ValueError, match=message):
        mlflow.pyfunc.load_model(str(folder))
    assert not (tmp_path / "ran").exists()

"""python -m rdad.export, as it is typed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import commands
import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from trained_runs import make_trained_run

from rdad.export.__main__ import COMMAND, _folder, export


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_run(tmp_path_factory.mktemp("runs") / "run")


def test_a_run_is_exported_into_its_folder_and_the_differences_are_printed(
    run_dir: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    (tmp_path / "photographs").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photographs" / "0.png")
    options = ["format=torch", "precision=fp16", "images=photographs", "calls=1", "threshold=1.5"]
    done = commands.run("-m", "rdad.export", str(run_dir), *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "largest difference from the network on 1 of 1 images of photographs" in done.stdout
    assert "one image of 60 x 80" in done.stdout
    folder = run_dir / "exports" / "torch-fp16"
    assert f"written: {folder}" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.pt2"]
    told = json.loads((folder / "model.json").read_text())
    assert told["precision"] == "fp16"
    assert told["thresholds"]["image"]["value"] == 1.5
    assert "thresholds  image 1.5 (given, 0 of 50 good images" in done.stdout
    assert told["training"]["params"]["backbone"] == "resnet18"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["format=onnx", "precision=int8"], "format=onnx must be one of fp32, fp16"),
        (["format=pickle"], "format must be one of onnx, openvino, torch"),
        (["compare=none"], "compare"),
        (["images=nowhere"], "folder nowhere does not exist"),
        (["threshold=0"], "threshold must be above 0"),
        (["output=."], "exists and is no earlier export"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_message(
    options: list[str],
    said: str,
    run_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(run_dir)
    assert COMMAND.main(export, [str(run_dir), *options]) == 1
    message = capsys.readouterr().err
    assert message.startswith("rdad.export: ")
    assert said in message


def test_a_run_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMAND.main(export, ["outputs/nothing"]) == 1
    assert "outputs/nothing" in capsys.readouterr().err


def test_a_run_out_of_mlflow_is_exported_below_the_current_folder() -> None:
    cfg = OmegaConf.create({"output": None, "format": "onnx", "precision": "fp32"})
    source: Any = SimpleNamespace(run_dir=None)
    assert _folder(source, cfg) == Path("exports/onnx-fp32")

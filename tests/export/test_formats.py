"""What may be asked for."""

import re
import sys

import pytest

from rdad.config.mistakes import ConfigError
from rdad.export.__main__ import COMMAND, export
from rdad.export.formats import checked_format


@pytest.mark.parametrize(
    ("name", "precision", "said"),
    [
        ("tflite", "fp32", "onnx, openvino, torch; found 'tflite'"),
        ("onnx", "int8", "format=onnx must be one of fp32, fp16; found 'int8'"),
        ("torch", "int8", "format=torch must be one of fp32, fp16; found 'int8'"),
        ("openvino", "bf16", "fp32, fp16, int8; found 'bf16'"),
    ],
)
def test_a_combination_that_does_not_exist_names_those_that_do(
    name: str, precision: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        checked_format(name, precision)


def test_missing_packages_are_named_with_the_extra_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("onnxscript", "nncf"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"needs onnxscript, nncf, .*'rdad\[export\]'"):
        checked_format("openvino", "int8")
    assert checked_format("torch", "fp32").files == ("model.pt2",)


@pytest.mark.parametrize("setting", ["compare", "quantisation_images", "calls"])
def test_numbers_below_what_makes_sense_are_refused(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMAND.main(export, ["outputs/nothing", "format=torch", f"{setting}=-1"]) == 1
    assert re.search(f"{setting} must be . or more; found -1", capsys.readouterr().err)

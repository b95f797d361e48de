"""Written exports, opened and run as their consumers would."""

import contextlib
import hashlib
import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from subjects import SIZES, images, trained_model

from rdad.config.mistakes import ConfigError
from rdad.data.framing import Framing
from rdad.data.images import DataError
from rdad.data.tiling import Tiling
from rdad.detector.trained_model import TrainedModel
from rdad.export.__main__ import COMMAND
from rdad.export.evidence import find_evidence
from rdad.export.export_model import export_model, in_place_of
from rdad.export.formats import FORMATS, Ask, Export
from rdad.export.graph import ALL_OUTPUTS, InspectionGraph, traced
from rdad.export.quantisation import quantised
from rdad.export.sidecar import write_sidecar
from rdad.export.trial import tried

CONSUMERS = {
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(folder / "model.onnx")
names = [one.name for one in session.get_outputs()]
answers = dict(zip(names, session.run(None, {"images": images})))
""",
    "openvino": """
import openvino
model = openvino.Core().compile_model(folder / "model.xml", "CPU", about["run_with"])
answers = {output.any_name: values for output, values in model(images).items()}
""",
    "torch": """
import torch
model = torch.export.load(folder / "model.pt2").module()
found = model(torch.from_numpy(images))
answers = {name: values.numpy() for name, values in zip(about["outputs"], found)}
""",
}
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_regions.py"
WITHOUT_TORCH = """
import runpy, sys
sys.modules.update(torch=None, rdad=None)  # to import them fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SCRIPT = """
import json, pathlib, sys
import numpy as np
sys.modules["rdad"] = None  # an export needs nothing of ours
folder = pathlib.Path(sys.argv[1])
about = json.loads((folder / "model.json").read_text())
images = np.load(folder.parent / "images.npy")
{consumer}
print(json.dumps([answers["score"].tolist(), answers["label"].tolist()]))
"""


def options(*given: str) -> DictConfig:
    return COMMAND.read(["small", *given])[1]


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    return trained_model()


@pytest.fixture(scope="module")
def traced_once(trained: TrainedModel) -> Iterator[None]:
    """All formats are written from one program, two from one ONNX of it; each takes seconds."""
    program = traced(InspectionGraph(trained.model, trained.thresholds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rdad.export.export_model.traced", lambda graph: program)
        patch.setattr("torch.onnx.export", cached_by_program(torch.onnx.export))
        yield


def cached_by_program(converting: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.onnx.export`, which is asked once for each program."""
    known: dict[int, tuple[Any, Any]] = {}  # with the program, which keeps its number its own

    def converted(program: Any, **options: Any) -> Any:
        if id(program) not in known:
            known[id(program)] = program, converting(program, **options)
        return known[id(program)][1]

    return converted


@pytest.fixture(scope="module")
def other() -> TrainedModel:
    return trained_model(seed=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number, size in enumerate(SIZES):
        Image.fromarray(images(1, size)[0]).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module", params=list(FORMATS))
def export(
    request: pytest.FixtureRequest,
    trained: TrainedModel,
    traced_once: None,
    photographs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Export:
    folder = tmp_path_factory.mktemp("exports") / request.param
    chosen = options(f"format={request.param}", f"images={photographs}", "calls=2")
    # no export is compared in bf16, and these photographs have 8 bits
    tested_otherwise = replace(trained, precision="bf16", bits=12)
    told = export_model(tested_otherwise, None, folder, chosen)
    assert told == about(folder)
    return FORMATS[request.param](folder, "fp32", ALL_OUTPUTS)


@pytest.mark.parametrize("export", ["onnx"], indirect=True)
def test_the_example_tells_regions_of_an_export_without_torch(
    export: Export, trained: TrainedModel, photographs: Path
) -> None:
    paths = sorted(photographs.iterdir())
    words = [sys.executable, "-c", WITHOUT_TORCH, EXAMPLE, export.folder, *paths]
    done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(len(one["regions"]) for one in told) > 0
    for one, path in zip(told, paths, strict=True):
        prediction = trained.predict(path)
        assert one["label"] == prediction.label
        boxes = [list(region.box) for region in prediction.regions or ()]
        assert [region["box"] for region in one["regions"]] == boxes


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model.json").read_text())


def test_any_batch_of_any_size_is_answered_as_the_network_does(
    export: Export, trained: TrainedModel
) -> None:
    ask = export.open()
    for count in (1, 3, 16):
        for size in SIZES:
            pixels = images(count, size)
            found, expected = ask(pixels), trained.predict_batch(list(pixels))
            maps = np.stack([one.anomaly_map for one in expected])
            np.testing.assert_allclose(found["score"], [one.score for one in expected], atol=1e-4)
            np.testing.assert_allclose(found["anomaly_map"], maps, atol=1e-4)
            assert found["label"].astype(bool).tolist() == [one.is_defective for one in expected]
            assert found["anomaly_map"].shape == (count, *size)


def test_a_consumer_needs_the_folder_and_its_runtime_alone(
    export: Export, trained: TrainedModel
) -> None:
    pixels = images(3, SIZES[1])
    np.save(export.folder.parent / "images.npy", pixels)
    script = SCRIPT.format(consumer=CONSUMERS[export.name])
    done = subprocess.run(
        [sys.executable, "-c", script, export.folder],
        cwd=export.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores, labels = json.loads(done.stdout)
    expected = trained.predict_batch(list(pixels))
    np.testing.assert_allclose(scores, [one.score for one in expected], atol=1e-4)
    assert [bool(label) for label in labels] == [one.is_defective for one in expected]


def test_the_sidecar_says_what_the_files_are_and_how_they_were_tried(
    export: Export, trained: TrainedModel
) -> None:
    told = about(export.folder)
    for name, file in told["files"].items():
        content = (export.folder / name).read_bytes()
        assert file == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert (told["kind"], told["precision"]) == (export.name, "fp32")
    assert list(told["outputs"]) == ["score", "normalised_score", "label", "anomaly_map"]
    assert trained.thresholds is not None
    assert told["thresholds"]["image"]["value"] == trained.thresholds.image.value
    assert told["network"]["backbone"] == "resnet18"
    assert told["network"]["image_size"] == [64, 96]
    assert told["network"]["tested_in"] == "bf16"
    assert told["input"]["bits"] == 12
    assert "the upper 8 of 12 bits (pixel >> 4)" in told["input"]["meaning"]
    assert told["agreement"]["images"] == len(SIZES)
    assert max(told["agreement"]["score"], told["agreement"]["anomaly_map"]) < 1e-4
    assert told["latency"]["export"]["calls"] == 2


def test_no_place_on_this_machine_is_told(export: Export) -> None:
    content = b"".join((export.folder / name).read_bytes() for name in export.files)
    if export.name == "torch":
        with zipfile.ZipFile(export.path) as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
    assert str(Path(__file__).parent.parent.parent).encode() not in content
    assert b"rdad" not in content


@pytest.mark.parametrize("export", ["torch"], indirect=True)
def test_a_torch_export_holds_no_pickle(export: Export) -> None:
    with zipfile.ZipFile(export.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    raw = ("/data/weights/", "/data/constants/")  # numbers alone
    others = [name for name in members if not any(part in name for part in raw)]
    assert [name for name in others if members[name] and name.endswith((".pt", ".pkl"))] == []
    assert b"torch.ops.aten.conv2d" in members["model/models/model.json"]


def test_an_export_that_answers_otherwise_is_an_error(
    export: Export, other: TrainedModel, photographs: Path
) -> None:
    evidence = find_evidence(None, str(photographs))
    with pytest.raises(ValueError, match=r"scores by up to .*, maps by up to .*0.001"):
        tried(export, other, evidence, compare=2, calls=0)


class Unasked(Export):
    """A format without files, whose answers nobody comes to."""

    name = "unasked"
    files = ()

    def write(self, program: object, training: object) -> None:
        raise AssertionError("nothing is to be written")

    def open(self, *, hinted: bool = True) -> Ask:
        return lambda images: {}


def test_an_image_that_the_network_refuses_is_named(
    trained: TrainedModel, photographs: Path, tmp_path: Path
) -> None:
    framed = replace(trained, framing=Framing(rectangle=(0, 0, 65, 65)))
    evidence = find_evidence(None, str(photographs))
    with pytest.raises(DataError, match=r"0\.png: its 64 x 96 pixels do not hold the rectangle"):
        tried(Unasked(tmp_path, "fp32", ALL_OUTPUTS), framed, evidence, compare=None, calls=0)


def test_a_difference_that_is_no_number_is_null_in_strict_json(
    trained: TrainedModel, tmp_path: Path
) -> None:
    export = Unasked(tmp_path, "fp32", ALL_OUTPUTS)
    write_sidecar(export, trained, None, {"without_run_with": {"score": math.nan, "images": 4}})
    assert about(tmp_path)["without_run_with"] == {"score": None, "images": 4}


def test_a_failed_export_leaves_the_earlier_one_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "model.json").write_text("earlier")
    with contextlib.suppress(ValueError), in_place_of(folder) as draft:
        (draft / "model.json").write_text("later")
        raise ValueError("too far from the network")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (folder / "model.json").read_text() == "earlier"
    with in_place_of(folder) as draft:
        (draft / "model.onnx").write_text("later")
    assert [path.name for path in tmp_path.rglob("*")] == ["export", "model.onnx"]


@pytest.mark.parametrize("export", ["openvino"], indirect=True)
def test_int8_is_for_the_network_alone(export: Export, trained: TrainedModel) -> None:
    import openvino

    pixels = images(4, (64, 96))
    model = quantised(openvino.Core().read_model(export.path), list(pixels))
    nodes = model.get_ops()
    rounded = {node.get_friendly_name() for node in nodes if node.get_type_name() == "FakeQuantize"}
    assert len(rounded) > 20
    for node in nodes:
        if node.get_type_name() in {"MatMul", "ReduceL2", "ReduceSum", "Interpolate", "Greater"}:
            sources = {one.get_source_output().get_node() for one in node.inputs()}
            assert not {one.get_friendly_name() for one in sources} & rounded, node
    found = openvino.Core().compile_model(model, "CPU")(pixels)["score"]
    expected = [one.score for one in trained.predict_batch(list(pixels))]
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_int8_without_training_images_says_what_to_name(
    trained: TrainedModel, tmp_path: Path
) -> None:
    chosen = options("format=openvino", "precision=int8")
    with pytest.raises(ConfigError, match="images=data/good"):
        export_model(trained, None, tmp_path / "export", chosen)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("thesis.txt", "years of work"),
        ("model.json", "years of work"),
        ("model.json", '{"format": "layers-model"}'),
        ("model.json", "[1]"),
    ],
)
def test_a_folder_with_something_else_in_it_is_not_replaced(
    name: str, content: str, trained: TrainedModel, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match="exists and is no earlier export"):
        export_model(trained, None, tmp_path, options("format=torch"))


def test_a_network_that_works_in_tiles_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    tiled = replace(trained, tiling=Tiling((64, 96)))
    with pytest.raises(ConfigError, match="works in tiles of 64 x 96 pixels"):
        export_model(tiled, None, tmp_path / "export", options("format=torch"))

"""A logged model as `mlflow.pyfunc` loads it: files of images in, what `predict` says out."""

import io
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel
from PIL import Image
from trained_runs import make_trained_run

from rdad import load_run
from rdad.detector.loaded_run import LoadedRun
from rdad.served_model import ServedModel
from rdad.tracking.model_package import describe_package, write_package

SIZES = [(80, 100), (33, 47), (200, 64), (64, 64)]  # (height, width)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained_run(tmp_path_factory.mktemp("runs") / "run", threshold=1.81)


@pytest.fixture(scope="module")
def model(run_dir: Path) -> PyFuncModel:
    return loaded(run_dir)


@pytest.fixture(scope="module")
def run(run_dir: Path) -> LoadedRun:
    return load_run(run_dir)


def loaded(run_dir: Path) -> PyFuncModel:
    package = run_dir.parent / "package"
    write_package(run_dir, package)
    describe_package(package, Model())
    return mlflow.pyfunc.load_model(str(package))


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*SIZES[n % 4], 3), np.uint8) for n in range(20)]


def file(image: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind)
    return content.getvalue()


def request(contents: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"image": pd.Series(contents, dtype=object)})


def test_files_of_many_sizes_get_what_predict_says(
    model: PyFuncModel, run: LoadedRun, images: list[np.ndarray]
):
    answer = model.predict(request([file(image) for image in images]))
    assert list(answer.columns) == ["score", "normalised_score", "label"]
    expected = [run.predict(image) for image in images]
    np.testing.assert_allclose(answer["score"], [one.score for one in expected], rtol=1e-5)
    normalised = [one.normalised_score for one in expected]
    assert answer["normalised_score"].tolist() == pytest.approx(normalised, rel=1e-4)
    assert answer["label"].tolist() == [one.label for one in expected]
    assert set(answer["label"]) == {"good", "defective"}


def test_grey_of_16_bits_is_read_as_in_training(run: LoadedRun):
    deep = np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16)
    served = ServedModel(replace(run.trained, bits=12))
    answer = served.predict(request([file(deep), file((deep >> 4).astype(np.uint8))]))
    first, second = answer["score"].tolist()
    assert first == second


def test_maps_come_as_tiff_files_at_the_images_own_sizes(
    model: PyFuncModel, run: LoadedRun, images: list[np.ndarray]
):
    answer = model.predict(request([file(image) for image in images[:4]]), params={"maps": True})
    for content, image in zip(answer["anomaly_map"], images, strict=False):
        found = tifffile.imread(io.BytesIO(content))
        assert found.shape == image.shape[:2]
        assert found.dtype == np.float32
        expected = run.predict(image).anomaly_map
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_arrays_are_taken_as_well(model: PyFuncModel, images: list[np.ndarray]):
    arrays = model.predict(request(list(images[:3])))
    files = model.predict(request([file(image) for image in images[:3]]))
    pd.testing.assert_frame_equal(arrays, files)


def test_a_request_may_name_its_threshold(model: PyFuncModel, images: list[np.ndarray]):
    files = request([file(image) for image in images])
    scores = sorted(model.predict(files)["score"])
    middle = (scores[4] + scores[5]) / 2
    answer = model.predict(files, params={"threshold": middle})
    assert ((answer["label"] == "defective") == (answer["score"] > middle)).all()
    by_rate = model.predict(files, params={"thresholds.image_rate": 0.4})
    assert (by_rate["label"] == "defective").all()  # 1.1, the higher of its calibration's scores
    with pytest.raises(MlflowException, match="threshold must be above 0; found -1"):
        model.predict(files, params={"threshold": -1.0})


def test_regions_come_where_they_are_asked_for(
    model: PyFuncModel, run: LoadedRun, images: list[np.ndarray]
):
    files = request([file(image) for image in images[:4]])
    answer = model.predict(files, params={"regions": True})
    expected = [run.predict(image).regions or [] for image in images[:4]]
    boxes = [[list(region.box) for region in regions] for regions in expected]
    assert [[one["box"] for one in found] for found in answer["regions"]] == boxes
    assert any(boxes)
    json.dumps(answer.to_dict("records"))
    smallest = max(region.area for regions in expected for region in regions)
    answer = model.predict(files, params={"regions": True, "regions.smallest": smallest})
    (largest,) = (one for found in answer["regions"] for one in found)
    assert largest["area"] == smallest


def test_a_score_that_is_no_number_is_not_taken_for_good(run: LoadedRun, images: list[np.ndarray]):
    network = deepcopy(run.trained.model)
    with torch.no_grad():
        next(network.decoder.parameters()).fill_(float("nan"))
    served = ServedModel(replace(run.trained, model=network))
    with pytest.raises(MlflowException, match="image 1: the network's score for it is nan") as said:
        served.predict(request([file(images[0])]))
    assert said.value.get_http_status_code() == 500


def test_an_empty_request_gets_an_empty_answer(model: PyFuncModel):
    assert model.predict(request([])).to_dict("records") == []


def test_the_example_that_lies_beside_the_model_can_be_sent(model: PyFuncModel):
    assert len(model.predict(model.input_example)) == 2


def test_without_thresholds_there_is_no_verdict(tmp_path: Path, images: list[np.ndarray]):
    model = loaded(make_trained_run(tmp_path / "run", threshold=None))
    (row,) = model.predict(request([file(images[0])])).to_dict("records")
    assert (row["normalised_score"], row["label"]) == (None, None)
    assert row["score"] > 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "image 2: not an image that Pillow can read"),
        (b"no picture", "image 2: not an image that Pillow can read"),
        ("half", "image 2: damaged or unsupported"),
        ("text", "image 2: str; allowed: the bytes of an image file, or a uint8 array"),
        (None, "image 2: NoneType; allowed"),
        (np.zeros((4, 4, 7), np.uint8), "image 2: an array of uint8"),
    ],
    ids=["empty", "no picture", "cut off", "text", "nothing", "array"],
)
def test_an_image_that_cannot_be_used_is_named_by_its_number(
    content: object, reason: str, model: PyFuncModel, images: list[np.ndarray]
):
    if isinstance(content, str) and content == "half":
        content = file(images[0])[:200]
    with pytest.raises(MlflowException, match=reason) as refused:
        model.predict(request([file(images[0]), content]))
    assert refused.value.get_http_status_code() == 400

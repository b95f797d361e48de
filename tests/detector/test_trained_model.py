"""Predictions from Python: what may be given, and what comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rdad.data import DataError
from rdad.data.tiling import Tiling
from rdad.detector.trained_model import TrainedModel
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.model.torch_model import ReverseDistillationModel
from rdad.results.writer import write_map

LAYERS = ["layer1", "layer2", "layer3"]
SIZES = [(64, 96), (37, 200), (150, 90), (3, 5)]  # (height, width)


def thresholds(image: float) -> Thresholds:
    return Thresholds(
        image=Threshold(image, 4.0),
        pixel=Threshold(image, 4.0),
        image_rate=0.02,
        pixel_rate=0.001,
        images=50,
        guaranteed=True,
        note="",
    )


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    torch.manual_seed(0)
    model = ReverseDistillationModel("resnet18", (64, 96), LAYERS, "add", pre_trained=False)
    return TrainedModel(model.eval(), None, "small")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


def test_score_is_the_maximum_of_the_map_at_the_networks_size(
    trained: TrainedModel, images: list[np.ndarray]
):
    prediction = trained.predict(images[0])
    with torch.inference_mode():
        pixels = torch.from_numpy(images[0]).permute(2, 0, 1)[None]
        maps = trained.model(pixels)
    np.testing.assert_allclose(prediction.network_map, maps[0, 0].numpy(), rtol=1e-5)
    assert prediction.score == float(prediction.network_map.max())


def test_a_network_tested_in_bf16_predicts_in_bf16(
    trained: TrainedModel, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rdad.detector.trained_model.has_bf16", lambda device: True)
    prediction = replace(trained, precision="bf16").predict(images[0])
    pixels = torch.from_numpy(images[0]).permute(2, 0, 1)[None]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = trained.model.folded()(pixels)[0, 0].numpy()
    np.testing.assert_array_equal(prediction.network_map, expected)
    difference = np.abs(expected - trained.predict(images[0]).network_map).max()
    assert 1e-5 < difference < 0.1


def test_a_machine_without_bf16_predicts_in_float32_and_says_so(
    trained: TrainedModel,
    images: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr("rdad.detector.trained_model.has_bf16", lambda device: False)
    tested_in_bf16 = replace(trained, precision="bf16")
    found = [tested_in_bf16.predict(image).score for image in images]
    assert found == [trained.predict(image).score for image in images]
    assert len(caplog.messages) == 1
    assert "small was tested in bf16, for which this CPU has no instructions" in caplog.text


def test_a_prediction_does_not_depend_on_its_batch(trained: TrainedModel, images: list[np.ndarray]):
    together = trained.predict_batch(images)
    for image, one in zip(images, together, strict=True):
        alone = trained.predict(image)
        assert one.score == pytest.approx(alone.score, rel=1e-5)
        np.testing.assert_allclose(one.anomaly_map, alone.anomaly_map, rtol=1e-4, atol=1e-6)


def test_the_map_has_the_images_own_size_and_is_what_a_run_writes(
    trained: TrainedModel, images: list[np.ndarray], tmp_path: Path
):
    import tifffile

    for image in images:
        prediction = trained.predict(image)
        write_map(tmp_path / "map.tiff", prediction.network_map, size=prediction.size)
        written = tifffile.imread(tmp_path / "map.tiff")
        assert prediction.anomaly_map.shape == image.shape[:2]
        assert prediction.anomaly_map.dtype == np.float32
        np.testing.assert_array_equal(prediction.anomaly_map, written)


def test_file_pillow_image_and_array_give_the_same(
    trained: TrainedModel, images: list[np.ndarray], tmp_path: Path
):
    path = tmp_path / "part.png"
    Image.fromarray(images[1]).save(path)
    expected = trained.predict(images[1]).anomaly_map
    for source in (path, str(path), Image.open(path), Image.fromarray(images[1])):
        np.testing.assert_array_equal(trained.predict(source).anomaly_map, expected)


def test_a_photograph_that_lies_on_its_side_is_turned_however_it_is_given(
    trained: TrainedModel, images: list[np.ndarray], tmp_path: Path
):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.fromarray(images[1]).save(path, exif=exif)
    height, width = images[1].shape[:2]
    for source in (path, Image.open(path)):
        assert trained.predict(source).size == (width, height)


def test_grey_and_transparent_pixels_are_taken_as_their_colours(
    trained: TrainedModel, images: list[np.ndarray]
):
    grey = images[0][..., 0]
    expected = trained.predict(np.repeat(grey[..., None], 3, axis=2)).score
    assert trained.predict(grey).score == expected
    opaque = np.dstack([images[0], np.full(grey.shape, 255, np.uint8)])
    assert trained.predict(opaque).score == trained.predict(images[0]).score


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_an_array_of_another_kind_is_refused_with_what_is_allowed(
    trained: TrainedModel, pixels: np.ndarray
):
    with pytest.raises(DataError, match=r"uint8 of shape \(H, W\), \(H, W, 3\) as RGB"):
        trained.predict(pixels)


def test_a_file_that_is_not_there_is_named(trained: TrainedModel, tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.png: missing"):
        trained.predict(tmp_path / "gone.png")


def test_without_thresholds_there_is_no_verdict(trained: TrainedModel, images: list[np.ndarray]):
    prediction = trained.predict(images[0])
    assert (prediction.normalised_score, prediction.is_defective, prediction.label) == (None,) * 3


def test_only_scores_strictly_above_the_threshold_are_defective(
    trained: TrainedModel, images: list[np.ndarray]
):
    raw = trained.predict(images[0]).score
    at, below = (
        TrainedModel(trained.model, thresholds(value), "").predict(images[0])
        for value in (raw, np.nextafter(np.float32(raw), np.float32(0)))
    )
    assert (at.label, at.is_defective, at.normalised_score) == ("good", False, 0.5)
    assert (below.label, below.is_defective) == ("defective", True)
    assert below.normalised_score is not None and below.normalised_score > 0.5


def test_a_tiled_network_gives_the_map_of_each_image_at_its_own_size(
    trained: TrainedModel, images: list[np.ndarray]
):
    tiled = replace(trained, tiling=Tiling((64, 96)))
    for image, prediction in zip(images, tiled.predict_batch(images), strict=True):
        assert prediction.network_map.shape == prediction.size == image.shape[:2]
        assert prediction.score == prediction.anomaly_map.max()
    (alone,) = tiled.predict_batch(images[:1])
    assert alone.score == pytest.approx(trained.predict(images[0]).score, rel=1e-5)


def test_no_images_give_no_predictions(trained: TrainedModel):
    assert trained.predict_batch([]) == []

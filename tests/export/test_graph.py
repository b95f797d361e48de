"""The graph that is exported, before it goes into any file."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from subjects import SIZES, images, trained_model

from rdad.data.framing import Framing
from rdad.detector.trained_model import TrainedModel
from rdad.export.graph import InspectionGraph, traced
from rdad.metrics.thresholds import Threshold

FRAMED_SIZE = (37, 200)  # of the images that masks are for


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    return trained_model()


@pytest.mark.parametrize("size", SIZES)
def test_the_graph_answers_as_a_prediction_does(
    trained: TrainedModel, size: tuple[int, int]
) -> None:
    graph = InspectionGraph(trained.model, trained.thresholds)
    check_answers(graph, graph, trained, size)


def test_a_score_of_the_highest_pixels_is_exported_as_it_is_predicted() -> None:
    trained, pixels = trained_model(score_share=0.02), images(3, (37, 200))
    graph = InspectionGraph(trained.model, trained.thresholds)
    program = traced(graph).module()
    with torch.inference_mode():
        found = dict(zip(graph.outputs, program(torch.from_numpy(pixels)), strict=True))
    expected = trained.predict_batch(list(pixels))
    np.testing.assert_allclose(found["score"], [one.score for one in expected], atol=1e-5)
    highest = [np.sort(one.network_map.ravel())[-122:] for one in expected]  # of 64 x 96
    means = [pixels.mean(dtype=np.float64) for pixels in highest]
    assert [one.score for one in expected] == pytest.approx(means, rel=1e-6)
    assert found["label"].tolist() == [one.is_defective for one in expected]


def test_without_thresholds_there_are_scores_and_maps_alone(trained: TrainedModel) -> None:
    graph = InspectionGraph(trained.model, None)
    assert graph.outputs == ("score", "anomaly_map")
    assert len(graph(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))) == 2


def test_a_score_at_the_threshold_is_good_and_normalised_to_a_half(trained: TrainedModel) -> None:
    pixels = torch.from_numpy(images(1, SIZES[0]))
    with torch.inference_mode():
        score = InspectionGraph(trained.model, None)(pixels)[0].item()
        assert trained.thresholds is not None
        at_score = replace(trained.thresholds, image=Threshold(score, 8.0))
        found = InspectionGraph(trained.model, at_score)(pixels)
    assert found[1].item() == 0.5
    assert not found[2].item()


def test_a_score_that_is_no_number_is_not_called_good(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = InspectionGraph(trained.model, trained.thresholds)
    of_map = graph.model.anomaly_map
    monkeypatch.setattr(of_map, "scores", lambda maps, valid: torch.full((len(maps),), torch.nan))
    assert graph(torch.from_numpy(images(2, SIZES[0])))[2].tolist() == [True, True]


def test_half_precision_leaves_the_model_and_the_map_in_float32(trained: TrainedModel) -> None:
    graph = InspectionGraph(trained.model, trained.thresholds, half=True)
    pixels = torch.from_numpy(images(2, SIZES[0]))
    with torch.inference_mode():
        score, *_, anomaly_map = graph(pixels)
        exact = InspectionGraph(trained.model, trained.thresholds)(pixels)[-1]
    assert score.dtype == anomaly_map.dtype == torch.float32
    assert 0 < (anomaly_map - exact).abs().max() < 0.05
    assert len(anomaly_map.unique()) > 0.9 * anomaly_map.numel()  # no steps of half precision
    assert {tensor.dtype for tensor in graph.model.decoder.parameters()} == {torch.float16}
    assert {tensor.dtype for tensor in trained.model.parameters()} == {torch.float32}


def framings() -> dict[str, tuple[Framing, list[tuple[int, int]]]]:
    """By name, each with sizes of images that it takes."""
    drawn = np.zeros(FRAMED_SIZE, np.uint8)
    drawn[5:, 30:150] = 255
    mask, any_size = Image.fromarray(drawn), [*SIZES, (400, 41)]
    masked = [Framing.of_mask(mask, (64, 96), letterbox=one) for one in (False, True)]
    return {
        "letterbox": (Framing(letterbox=True), any_size),
        "shares": (Framing(rectangle=(0.1, 0, 0.87, 0.655)), any_size),
        "pixels": (Framing(letterbox=True, rectangle=(1, 0, 30, 60)), SIZES[:3]),
        "mask": (masked[0], [FRAMED_SIZE]),
        "letterboxed mask": (masked[1], [FRAMED_SIZE]),
    }


@pytest.mark.parametrize("name", framings())
@pytest.mark.parametrize("share", [0, 0.02])
def test_what_is_padded_or_ignored_is_left_out_as_it_is_in_predictions(
    name: str, share: float
) -> None:
    framing, sizes = framings()[name]
    trained = replace(trained_model(score_share=share), framing=framing)
    graph = InspectionGraph(trained.model, trained.thresholds, framing)
    for size in sizes:
        check_answers(graph, graph, trained, size)


def test_a_traced_graph_finds_out_for_itself_where_an_image_lies() -> None:
    framing, sizes = framings()["pixels"]
    trained = replace(trained_model(), framing=framing)
    graph = InspectionGraph(trained.model, trained.thresholds, framing)
    program = traced(graph).module()
    for size in sizes:
        check_answers(program, graph, trained, size)


def check_answers(
    ask: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    graph: InspectionGraph,
    trained: TrainedModel,
    size: tuple[int, int],
) -> None:
    pixels = images(3, size)
    with torch.inference_mode():
        found = dict(zip(graph.outputs, ask(torch.from_numpy(pixels)), strict=True))
    expected = trained.predict_batch(list(pixels))
    maps = np.stack([one.anomaly_map for one in expected])
    np.testing.assert_allclose(found["score"], [one.score for one in expected], atol=1e-5)
    np.testing.assert_allclose(found["anomaly_map"], maps, atol=1e-5)
    normalised = np.array([one.normalised_score for one in expected], float)
    np.testing.assert_allclose(found["normalised_score"], normalised, atol=1e-4)
    assert found["label"].tolist() == [one.is_defective for one in expected]

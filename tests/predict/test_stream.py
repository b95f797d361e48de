"""From paths to outcomes: order, failures, independence of batches."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rdad.config.mistakes import ConfigError
from rdad.data.framing import Framing
from rdad.data.tiling import Tiling
from rdad.detector.trained_model import TrainedModel
from rdad.predict.stream import outcomes


def paths_of(parts: Path) -> list[Path]:
    images = sorted(parts.rglob("*.png"))
    return [*images, parts / "gone.png", parts]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_path_has_its_outcome_in_its_turn(trained: TrainedModel, parts: Path, batch_size: int):
    paths = paths_of(parts)
    found = list(outcomes(trained, paths, batch_size=batch_size))
    assert [one.path for one in found] == paths
    problems = {one.path.name: one.problem for one in found if one.prediction is None}
    assert set(problems) == {"cut.png", "gone.png", "parts"}
    assert problems["gone.png"] == "missing"
    assert problems["parts"] == "a folder, not an image"
    for one in found:
        if one.prediction is not None:
            assert one.problem is None
            assert one.prediction.score == pytest.approx(trained.predict(one.path).score, rel=1e-5)


def test_tiles_and_files_that_cannot_be_used_go_together(trained: TrainedModel, parts: Path):
    tiled = replace(trained, tiling=Tiling((32, 32)))
    found = list(outcomes(tiled, paths_of(parts), batch_size=4))
    assert sum(one.prediction is not None for one in found) == 8


def test_pictures_are_kept_where_they_are_asked_for(trained: TrainedModel, parts: Path):
    path = parts / "left" / "000.png"
    (one,) = outcomes(trained, [path], batch_size=1, pictures=True)
    assert one.picture is not None and one.picture.dtype == np.uint8
    assert one.picture.shape == (171, 256, 3)  # 20 x 30 pixels, brought to an overlay's size


def test_a_score_that_is_no_number_is_not_taken_for_good(trained: TrainedModel, parts: Path):
    broken = TrainedModel(_with_nan(trained), trained.thresholds, "broken")
    (one,) = outcomes(broken, [parts / "left" / "000.png"], batch_size=1)
    assert one.prediction is None
    assert one.problem == "the network's score for it is nan"


@pytest.mark.parametrize(
    ("batch_size", "said"),
    [(2, "for 2 images at once; name a smaller batch_size"), (1, "for an image, .* device=cpu")],
)
def test_a_gpu_without_memory_is_met_by_what_helps(
    batch_size: int,
    said: str,
    trained: TrainedModel,
    parts: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def full(*given: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TrainedModel, "predict_prepared", full)
    with pytest.raises(ConfigError, match=said):
        list(outcomes(trained, sorted(parts.rglob("00?.png")), batch_size=batch_size))


def test_an_image_that_the_framing_refuses_is_named_once(trained: TrainedModel, parts: Path):
    framed = replace(trained, framing=Framing(rectangle=(0, 0, 25, 25)))
    (one,) = outcomes(framed, [parts / "left" / "000.png"], batch_size=1)
    assert one.problem is not None and one.problem.startswith("its 20 x 30 pixels do not hold")


def test_grey_of_16_bits_is_read_as_in_training(trained: TrainedModel, tmp_path: Path):
    deep = np.random.default_rng(0).integers(0, 4096, (32, 32), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray((deep >> 4).astype(np.uint8)).save(tmp_path / "same.png")
    paths = [tmp_path / "deep.png", tmp_path / "same.png"]
    of_12_bits = replace(trained, bits=12)
    first, second = outcomes(of_12_bits, paths, batch_size=1)
    assert first.prediction is not None and second.prediction is not None
    assert first.prediction.score == second.prediction.score
    assert of_12_bits.predict(Image.open(paths[0])).score == second.prediction.score
    (other,) = outcomes(replace(trained, bits=10), paths[:1], batch_size=1)
    assert other.problem is not None and "more than 10 bits" in other.problem


def _with_nan(trained: TrainedModel):
    model = deepcopy(trained.model)
    with torch.no_grad():
        next(model.decoder.parameters()).fill_(float("nan"))
    return model

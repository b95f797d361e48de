"""Overlays and maps: their names, and what is in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from rdad.detector.trained_model import TrainedModel
from rdad.metrics.thresholds import Threshold
from rdad.predict.pictures import with_files
from rdad.predict.rows import MAP, OVERLAY
from rdad.predict.stream import Outcome, outcomes
from rdad.results.pictures import PREDICTED_COLOUR, TRUE_COLOUR


def test_images_of_one_name_in_different_folders_have_files_of_their_own(
    trained: TrainedModel, parts: Path, tmp_path: Path
):
    images = sorted(parts.rglob("*.png"))
    found = outcomes(trained, images, batch_size=4, pictures=True)
    thresholds = trained.thresholds
    kinds = [OVERLAY, MAP]
    written = list(with_files(found, images, tmp_path, kinds=kinds, thresholds=thresholds))
    assert [outcome.path for outcome, _ in written] == images
    for outcome, files in written:
        if outcome.prediction is None:
            assert files == {}
            continue
        relative = outcome.path.relative_to(parts).with_suffix("")
        assert files == {
            OVERLAY: f"overlays/{relative}.png",
            MAP: f"anomaly_maps/{relative}.tiff",
        }
        stored = tifffile.imread(tmp_path / files[MAP])
        np.testing.assert_array_equal(stored, outcome.prediction.anomaly_map)
    stored = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert len(stored) == 16


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a/x.png", "a/x.jpg", "a/X.bmp"], ["x", "x_2", "X_3"]),
        (["a/x.png", "b/x.png"], ["a/x", "b/x"]),
        (["a/x.png", "a/x.png", "a/x_2.png"], ["x", "x_2", "x_2_2"]),
        (["a/../b/x.png", "a/x.png", "x.tar.png"], ["b/x", "a/x", "x.tar"]),
        (["a\udcff/x.png", "a\udcfe/x.png", f"{'l' * 251}.png"], ["a_/x", "a_/x_2", "l" * 200]),
    ],
)
def test_names_of_files_cannot_collide(
    trained: TrainedModel, parts: Path, tmp_path: Path, images: list[str], names: list[str]
):
    (found,) = outcomes(trained, [parts / "left" / "000.png"], batch_size=1)
    paths = [Path(image) for image in images]
    all_found = (Outcome(path, found.prediction) for path in paths)
    written = with_files(all_found, paths, tmp_path, kinds=[MAP], thresholds=None)
    assert [files[MAP] for _, files in written] == [f"anomaly_maps/{name}.tiff" for name in names]


def overlay_of(trained: TrainedModel, path: Path, folder: Path, at: float | None) -> np.ndarray:
    """The overlay of an image with a pixel threshold at a value, or without thresholds."""
    assert trained.thresholds is not None
    thresholds = None if at is None else replace(trained.thresholds, pixel=Threshold(at, 4.0))
    found = outcomes(trained, [path], batch_size=1, pictures=True)
    ((_, files),) = with_files(found, [path], folder, kinds=[OVERLAY], thresholds=thresholds)
    return np.asarray(Image.open(folder / files[OVERLAY]))


def test_an_overlay_outlines_what_is_above_the_pixel_threshold(
    trained: TrainedModel, parts: Path, tmp_path: Path
):
    path = parts / "left" / "000.png"
    values = trained.predict(path).network_map
    panel = 171, 256  # 20 x 30 pixels, brought to an overlay's size
    second = slice(256 + 6, 2 * 256 + 6)
    none = overlay_of(trained, path, tmp_path, float(values.max()))
    some = overlay_of(trained, path, tmp_path, float(np.median(values)))
    image = none[: panel[0], : panel[1]]
    np.testing.assert_array_equal(none[: panel[0], second], image)
    differs = (some[: panel[0], second] != image).any(axis=2)
    assert 0 < differs.mean() < 0.5
    drawn = some[: panel[0], second]
    assert (drawn == PREDICTED_COLOUR).all(axis=2).any(), "in the colour of another outline"
    assert not (drawn == TRUE_COLOUR).all(axis=2).any()
    without = overlay_of(trained, path, tmp_path, None)
    assert (none.shape[1], without.shape[1]) == (3 * 256 + 2 * 6, 2 * 256 + 6)


def test_a_file_that_cannot_be_written_is_named(trained: TrainedModel, parts: Path, tmp_path: Path):
    (tmp_path / "anomaly_maps").write_text("in the way")
    path = parts / "left" / "000.png"
    found = outcomes(trained, [path], batch_size=1)
    with pytest.raises(OSError, match=r"cannot write .*anomaly_maps/000\.tiff"):
        list(with_files(found, [path], tmp_path, kinds=[MAP], thresholds=None))

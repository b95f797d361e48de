"""Where images lie on the network's pixels, and which of these are looked at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data.framing import PADDING, WHOLE, Framing
from rdad.data.ignoring import find_masks, framing_of
from rdad.data.images import DataError
from rdad.detector.scoring import stretched_map

LETTERBOX = Framing(letterbox=True)
SIZES = [(64, 64), (30, 90), (90, 30), (37, 101), (101, 37), (3, 400), (1, 1), (500, 499), (64, 96)]


def slow_sides(image_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """By fractions, the scale first."""
    from fractions import Fraction

    scale = min(Fraction(whole, side) for whole, side in zip(size, image_size, strict=True))
    exact = [side * scale + Fraction(1, 2) for side in image_size]
    return max(1, exact[0].__floor__()), max(1, exact[1].__floor__())


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_a_letterboxed_image_fills_one_side_and_keeps_its_aspect_ratio(
    image_size: tuple[int, int], size: tuple[int, int]
) -> None:
    rows, columns = LETTERBOX.content(image_size, size)
    sides = rows.stop - rows.start, columns.stop - columns.start
    assert sides == slow_sides(image_size, size)
    assert (sides[0] == size[0]) or (sides[1] == size[1])
    for place, whole in zip((rows, columns), size, strict=True):
        before, behind = place.start, whole - place.stop
        assert 0 <= behind - before <= 1


@pytest.mark.parametrize("image_size", [(40, 120), (120, 40), (41, 115), (200, 64)])
def test_a_map_of_a_marked_pixel_comes_back_where_it_was(image_size: tuple[int, int]) -> None:
    size = (64, 64)
    for row, column in [(3, 5), (image_size[0] - 4, 7), (20, image_size[1] - 6)]:
        image = np.zeros((*image_size, 3), np.uint8)
        image[row - 2 : row + 3, column - 2 : column + 3] = 255
        fitted = LETTERBOX.fit_image(Image.fromarray(image), size)
        seen = (fitted != PADDING).any(-1) * fitted[..., 0].astype(np.float32)
        back = stretched_map(seen[LETTERBOX.content(image_size, size)], image_size)
        found = np.unravel_index(back.argmax(), back.shape)
        pixel = max(image_size) / 64  # of the network's, in the image's
        assert abs(found[0] - row) <= pixel and abs(found[1] - column) <= pixel
        weights = back / back.sum()
        centre = [
            (weights.sum(axis=1 - axis) * np.arange(image_size[axis])).sum() for axis in (0, 1)
        ]
        assert np.abs(np.array(centre) - (row, column)).max() < 0.5


def test_what_is_padded_has_one_colour_and_is_ignored() -> None:
    image = Image.fromarray(np.full((20, 60, 3), 200, np.uint8))
    fitted, valid = LETTERBOX.fit_image(image, (60, 60)), LETTERBOX.valid((20, 60), (60, 60))
    assert valid is not None and valid.sum() == 20 * 60 and valid[20:40].all()
    assert (fitted[valid] == 200).all() and (fitted[~valid] == PADDING).all()
    assert LETTERBOX.fit_mask(Image.new("L", (60, 20), 255), (60, 60)).tolist() == valid.tolist()


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("rectangle", [(0.1, 0.25, 0.9, 0.5), (3, 10, 17, 59), (0, 0, 1, 1)])
def test_a_pixel_is_in_a_rectangle_if_its_centre_is(
    letterbox: bool, rectangle: tuple[float, ...]
) -> None:
    image_size, size = (20, 60), (32, 64)
    framing = Framing(letterbox, rectangle)
    top, left, bottom, right = rectangle
    units = (1, 1) if max(rectangle) <= 1 else image_size
    rows, columns = framing.content(image_size, size)
    expected = np.zeros(size, bool)
    for row in range(rows.start, rows.stop):
        for column in range(columns.start, columns.stop):
            down = (row - rows.start + 0.5) / (rows.stop - rows.start) * units[0]
            across = (column - columns.start + 0.5) / (columns.stop - columns.start) * units[1]
            expected[row, column] = top <= down < bottom and left <= across < right
    found = framing.valid(image_size, size)
    assert found is not None and (found == expected).all()


def test_a_mask_for_all_is_what_its_file_shows_white(tmp_path: Path) -> None:
    drawn = np.zeros((20, 60), np.uint8)
    drawn[:, 30:] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    framing = framing_of("stretch", str(tmp_path / "mask.png"), (32, 64))
    valid = framing.valid((20, 60), (32, 64))
    assert valid is not None and valid[:, 32:].all() and not valid[:, :32].any()
    assert Framing.from_dict(framing.to_dict()) == framing
    with pytest.raises(ValueError, match=r"it has 60 x 20 pixels, and the mask .* 20 x 60"):
        framing.valid((60, 20), (32, 64))


def test_a_mask_without_white_or_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.new("L", (60, 20)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match=r"black.png: no pixel is looked at"):
        framing_of("stretch", str(tmp_path / "black.png"), (32, 64))
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        framing_of("stretch", str(tmp_path / "none.png"), (32, 64))
    each = framing_of("stretch", str(tmp_path), (32, 64))
    with pytest.raises(ValueError, match="without a mask"):
        each.valid((20, 60), (32, 64))
    with pytest.raises(ValueError, match=r"it has 20 x 60 pixels, and the mask .* 2 x 3"):
        each.valid((20, 60), (32, 64), Image.new("L", (3, 2), 255))
    with pytest.raises(ValueError, match="do not hold the rectangle"):
        Framing(rectangle=(0, 0, 21, 60)).valid((20, 60), (32, 64))


def test_without_settings_all_is_looked_at() -> None:
    assert framing_of("stretch", None, (32, 64)) == WHOLE
    assert WHOLE.valid((5, 7), (32, 64)) is None


def test_masks_are_found_by_name_in_the_deepest_folder_that_is_like_the_images(
    tmp_path: Path,
) -> None:
    images = [tmp_path / "part" / kind / "000.png" for kind in ("train/good", "test/good")]
    for place in ("train/good/000_mask.png", "test/good/000.png", "001.png"):
        (tmp_path / "masks" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 2), 255).save(tmp_path / "masks" / place)
    found = find_masks(tmp_path / "masks", images)
    assert found == [
        tmp_path / "masks/train/good/000_mask.png",
        tmp_path / "masks/test/good/000.png",
    ]
    with pytest.raises(DataError, match=r"002\.png: no mask"):
        find_masks(tmp_path / "masks", [tmp_path / "002.png"])
    with pytest.raises(DataError, match=r"001\.png: fits"):
        find_masks(tmp_path / "masks", [tmp_path / "a" / "001.png", tmp_path / "b" / "001.png"])


def test_an_image_is_never_the_mask_of_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("work", "data/good", "masks/good"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("data/good/000.png", "data/good/001.png", "masks/good/000.png"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path / "work")
    images = [Path("../data/good/000.png"), Path("../data/good/001.png")]
    assert find_masks(Path("../masks"), images[:1]) == [Path("../masks/good/000.png")]
    with pytest.raises(DataError, match=r"001\.png: no mask"):
        find_masks(Path("../data"), images)

"""What a defects_config.json says of the masks beside it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data import DataError
from rdad.data.saturation import Saturation, read_regions, read_saturations


def entry(value: int, threshold: float, relative: bool) -> dict[str, object]:
    return {
        "defect_name": f"defect {value}",
        "pixel_value": value,
        "saturation_threshold": threshold,
        "relative_saturation": relative,
    }


def mask(path: Path, *, value: int, mode: str = "L") -> Path:
    pixels = np.zeros((4, 5), np.uint8)
    pixels[0, 0] = pixels[2:, 2:] = value  # 7 pixels in two parts
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    ("saturation", "area", "enough"),
    [
        (Saturation(0.5, True), 7, 3),  # rounded down
        (Saturation(1.0, True), 7, 7),
        (Saturation(0.1, True), 7, 1),  # never none
        (Saturation(5, False), 7, 5),
        (Saturation(5, False), 3, 3),  # never more than there are
    ],
)
def test_enough_is_a_number_of_pixels_or_a_share(
    saturation: Saturation, area: int, enough: int
) -> None:
    assert saturation.pixels(area) == enough


def test_each_file_is_a_region_whose_value_says_what_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "defects_config.json"
    path.write_text(json.dumps([entry(200, 0.5, True), entry(3, 6, False)]))
    masks = [mask(tmp_path / "000.png", value=200), mask(tmp_path / "001.png", value=3, mode="RGB")]
    regions = read_regions(masks, read_saturations(path))
    assert [(int(one.sum()), enough) for one, enough in regions] == [(7, 3), (7, 6)]
    assert regions[0][0].shape == (4, 5)


@pytest.mark.parametrize("value", [0, 7])
def test_a_mask_that_marks_nothing_or_something_unknown_is_named(
    tmp_path: Path, value: int
) -> None:
    file = mask(tmp_path / "000.png", value=value)
    held = {0: "no defect", 7: "7"}[value]
    with pytest.raises(DataError, match=rf"000\.png: holds {held}; .* one of 3, 200"):
        read_regions([file], {200: Saturation(1, False), 3: Saturation(1, False)})


def test_a_mask_with_two_values_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3, 200]], np.uint8)).save(tmp_path / "000.png")
    with pytest.raises(DataError, match="holds 3 and 200"):
        read_regions([tmp_path / "000.png"], {3: Saturation(1, False)})


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"a": 1}',
        "[[]]",
        "null",
        json.dumps([entry(1, 1.5, True)]),
        json.dumps([entry(1, 0, False)]),
        json.dumps([entry(1, 2.5, False)]),
        json.dumps([entry(1, float("nan"), False)]),
        json.dumps([entry(1, float("inf"), False)]),
        json.dumps([{"pixel_value": 1}]),
    ],
)
def test_another_content_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "defects_config.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"defects_config\.json: not a list"):
        read_saturations(path)

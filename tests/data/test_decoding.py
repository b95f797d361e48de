"""Masks as they are decoded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data import DataError, Sample, decode
from rdad.data.decoding import decode_union, marking

Write = Callable[..., Path]
SIZE = (12, 10)  # of the files that are written here


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_several_masks_mark_what_any_of_them_marks_by_any_value(
    write_image: Write, write_mask: Write, cache_dir: Path
) -> None:
    image, first = write_image("a.png"), write_mask("m/0.png", value=2)
    pixels = np.zeros((12, 10), np.uint8)
    pixels[8:, 9] = 200
    Image.fromarray(pixels).save(first.with_name("1.png"))
    sample = Sample(image, 1, "two", first, "a", more_masks=(first.with_name("1.png"),))
    (mask,) = decode([sample], SIZE, cache_dir).masks
    expected = pixels > 0
    expected[:6, :5] = True
    assert np.array_equal(mask, expected)
    assert decode_union(replace(sample, mask=None)) is None


def test_masks_of_one_image_have_one_size_and_one_that_is_empty_is_no_fault(
    write_image: Write, write_mask: Write, cache_dir: Path
) -> None:
    image, first = write_image("a.png"), write_mask("m/0.png", value=0)
    masks = (write_mask("m/1.png"), write_mask("m/2.png", size=(6, 10)))
    sample = Sample(image, 1, "two", first, "a", more_masks=masks[:1])
    assert decode([sample], SIZE, cache_dir).masks.any()
    with pytest.raises(DataError, match=r"m/2\.png: 10 x 6 pixels, but .*m/0\.png has 10 x 12"):
        decode([replace(sample, more_masks=masks)], SIZE, cache_dir)
    with pytest.raises(DataError, match=r"m/0\.png: empty mask"):
        decode([replace(sample, more_masks=())], SIZE, cache_dir)


def test_masks_that_mark_something_are_told_from_those_that_do_not(
    write_mask: Write, tmp_path: Path
) -> None:
    masks = [write_mask(f"{value}.png", value=value) for value in (0, 1, 255)]
    assert marking(masks) == {*masks[1:]}
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png: not an image"):
        marking([*masks, tmp_path / "text.png"])

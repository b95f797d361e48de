"""Which images are trained on, validated on and held back."""

from dataclasses import replace
from pathlib import Path

import pytest

from rdad.data.samples import Sample
from rdad.data.splitting import item_numbers, split, split_rows

SAMPLES = [Sample(Path(f"{row}.png"), 0, "good", None, str(row)) for row in range(12)]
SHARES = {"validation": 0.25, "calibration": 0.5, "seed": 3}


def test_images_of_no_item_are_split_one_by_one() -> None:
    assert split(SAMPLES, **SHARES) == split_rows(12, **SHARES)
    assert item_numbers(SAMPLES) == list(range(12))


def test_all_views_of_an_item_go_the_same_way() -> None:
    viewed = [replace(one, part=f"item {row % 4}") for row, one in enumerate(SAMPLES)]
    parts = split(viewed, **SHARES)
    assert sorted(row for part in parts for row in part) == list(range(12))
    items = [{row % 4 for row in part} for part in parts]
    assert [len(one) for one in items] == [1, 1, 2]
    assert [len(part) for part in parts] == [3, 3, 6]


def test_an_image_without_an_item_among_views_is_an_item_of_its_own() -> None:
    parts = ["a", "", "b", "a", "", "b"]
    viewed = [replace(one, part=part) for one, part in zip(SAMPLES, parts, strict=False)]
    assert item_numbers(viewed) == [0, 1, 2, 0, 3, 2]


def test_a_single_item_cannot_be_split() -> None:
    viewed = [replace(one, part="item") for one in SAMPLES]
    with pytest.raises(ValueError, match="needs 2 training images or more; found 1"):
        split(viewed, **SHARES)

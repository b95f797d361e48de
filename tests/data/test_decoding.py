"""Work in threads: order, bounds, errors, an early end."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data import DataError, Sample, decode
from rdad.data.decoding import decode_union, in_order, marking

Write = Callable[..., Path]
SIZE = (12, 10)  # of the files that are written here


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_results_come_in_the_order_of_the_items_whichever_is_ready_first():
    def slow_if_even(number: int) -> int:
        time.sleep(0.02 if number % 2 == 0 else 0)
        return number

    assert list(in_order(slow_if_even, range(20), threads=4, ahead=6)) == list(range(20))


def test_no_more_items_are_taken_than_may_be_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(str, items(), threads=2, ahead=5)
    next(results)
    assert len(taken) == 5
    list(islice(results, 10))
    assert len(taken) == 15
    results.close()


def test_what_the_function_raises_is_raised_in_its_turn():
    results = in_order(lambda number: 1 // number, [2, 1, 0, 1], threads=2, ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_early_end_leaves_undone_what_has_not_begun():
    done, go_on = [], threading.Event()

    def wait(number: int) -> int:
        if number:
            go_on.wait(5)
        done.append(number)
        return number

    results = in_order(wait, range(50), threads=1, ahead=50)
    assert next(results) == 0
    go_on.set()
    results.close()
    assert len(done) < 50


def test_no_more_pixels_are_in_work_than_the_limit_but_for_one_item_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("RDAD_MAX_PIXELS", "10")
    taken = []

    def pixels(item: int) -> int:
        taken.append(item)
        return item

    results = in_order(str, [4, 6, 1, 50, 2, 3], threads=4, ahead=9, pixels=pixels)
    assert next(results) == "4" and taken == [4, 6, 1]  # the last one waits for its place
    assert list(results) == ["6", "1", "50", "2", "3"]


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

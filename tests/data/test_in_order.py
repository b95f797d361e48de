"""Work in threads: order, bounds, errors, an early end."""

import threading
import time
from itertools import islice

import pytest

from rdad.data.in_order import in_order


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

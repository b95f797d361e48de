"""Scores in [0, 1] around a threshold, and thresholds as plain data."""

import json
import math

import numpy as np
import pytest

from rdad.metrics.thresholds import Threshold, Thresholds

THRESHOLDS = Thresholds(
    image=Threshold(0.25, 4.0),
    pixel=Threshold(0.125, 3.0),
    image_rate=0.02,
    pixel_rate=0.001,
    images=3,
    guaranteed=False,
    note="few",
    scores=(0.1, 0.15, 0.2),
)


def test_a_normalised_score_is_zero_at_zero_half_at_the_threshold_and_one_far_above() -> None:
    threshold = Threshold(0.37, 5.5)
    normalised = threshold.normalise([0.0, 0.37, np.inf])
    assert normalised.tolist() == [0.0, 0.5, 1.0]


def test_the_formula_by_hand() -> None:
    # 0.5^2 / (0.5^2 + 1^2) = 0.25 / 1.25
    assert Threshold(1.0, 2.0).normalise(0.5) == pytest.approx(0.2, abs=1e-15)
    logistic = 1 / (1 + math.exp(-3.5 * math.log(0.9 / 0.4)))
    assert Threshold(0.4, 3.5).normalise(0.9) == pytest.approx(logistic, abs=1e-15)


@pytest.mark.parametrize("steepness", [1.0, 7.3, 100.0])
def test_normalising_keeps_the_order_of_neighbouring_floats_and_the_verdict(
    steepness: float,
) -> None:
    threshold = Threshold(float(np.float32(0.37)), steepness)
    steps = np.arange(-500, 501, dtype=np.int32)
    scores = (np.float32(0.37).view(np.int32) + steps).view(np.float32)
    wide = np.geomspace(1e-30, 1e30, 2001, dtype=np.float32)
    for raw in (scores, wide):
        normalised = threshold.normalise(raw)
        assert (np.diff(normalised) >= 0).all()
        assert ((normalised > 0.5) == threshold.exceeded(raw)).all()
        assert normalised.min() >= 0 and normalised.max() <= 1


def test_scores_that_rounding_made_negative_are_zero() -> None:
    assert Threshold(0.4, 3.0).normalise(-1e-7) == 0


def test_a_score_at_the_threshold_is_good_and_what_is_no_number_is_not() -> None:
    scores = [0.25, np.nextafter(0.25, 1), np.nan]
    assert Threshold(0.25, 2.0).exceeded(scores).tolist() == [False, True, True]


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_threshold_is_a_positive_number(value: float) -> None:
    with pytest.raises(ValueError, match="value is"):
        Threshold(value, 1.0)


def test_thresholds_come_back_from_json_as_they_were() -> None:
    assert Thresholds.from_dict(json.loads(json.dumps(THRESHOLDS.to_dict()))) == THRESHOLDS


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "other"}, "rdad-thresholds-1"),
        ({"image": {}}, "image|value"),
        ({"images": None}, "int"),
    ],
)
def test_other_data_is_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Thresholds.from_dict(THRESHOLDS.to_dict() | change)

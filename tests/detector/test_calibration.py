"""Thresholds keep the false-alarm rate that was asked for, or say that they cannot promise it."""

import numpy as np
import pytest

from rdad.config.mistakes import ConfigError
from rdad.detector.calibration import (
    CalibrationPixels,
    calibrate,
    chosen_thresholds,
    image_threshold,
    with_image_rate,
)
from rdad.metrics.thresholds import Thresholds

RANDOM = np.random.default_rng


def false_alarm_rate(*, images: int, rate: float, sigma: float, trials: int = 3000) -> float:
    """Share of new good images above the threshold, over many calibrations on log-normal scores."""
    from scipy.special import ndtr

    scores = RANDOM(0).lognormal(-1.0, sigma, size=(trials, images))
    values = np.array([image_threshold(row, rate)[0].value for row in scores])
    return float(np.mean(1 - ndtr((np.log(values) + 1.0) / sigma)))


def pixels_of(maps: np.ndarray, rate: float, batch: int = 2) -> CalibrationPixels:
    pixels = CalibrationPixels(maps.size, rate)
    for start in range(0, len(maps), batch):
        pixels.add(maps[start : start + batch])
    return pixels


def calibrated(scores: np.ndarray, *, image_rate: float = 0.02) -> Thresholds:
    maps = RANDOM(1).random((len(scores), 8, 8), dtype=np.float32)
    return calibrate(scores, pixels_of(maps, 0.01), image_rate=image_rate)


def test_a_guaranteed_threshold_keeps_its_rate_on_new_images() -> None:
    # (n + 1)(1 - rate) is whole, so the expected rate is 2 % itself: 3000 calibrations leave an
    # error of sqrt(0.02 * 0.98 / 51 / 3000) = 0.0004.
    assert false_alarm_rate(images=49, rate=0.02, sigma=0.3) == pytest.approx(0.02, abs=0.0016)
    assert false_alarm_rate(images=120, rate=0.02, sigma=0.3) <= 0.02


def test_the_guarantee_holds_for_scores_of_two_separate_kinds() -> None:
    random = RANDOM(3)
    above = []
    for _ in range(2000):
        kinds = random.random(150) < 0.3
        scores = np.where(kinds, random.uniform(5, 6, 150), random.uniform(1, 2, 150))
        threshold, guaranteed, _ = image_threshold(scores[:49], 0.02)
        above.append(threshold.exceeded(scores[49:]).mean())
        assert guaranteed
    assert np.mean(above) == pytest.approx(0.02, abs=0.002)


@pytest.mark.parametrize("images", [3, 6, 20, 40])
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_with_few_images_the_rate_is_near_what_was_asked_on_log_normal_scores(
    images: int, sigma: float
) -> None:
    # Never below the highest score, so never more false alarms than the bound alone would give.
    found = false_alarm_rate(images=images, rate=0.02, sigma=sigma)
    assert 0.01 < found < 0.021


def test_the_order_statistic_by_hand() -> None:
    scores = RANDOM(0).permutation(np.arange(1.0, 10.0))  # 1 ... 9, and a rate of 20 %
    threshold, guaranteed, note = image_threshold(scores, 0.2)
    assert (threshold.value, guaranteed) == (8.0, True)  # (9 + 1) * 0.8
    assert "place 8 of 9" in note


@pytest.mark.parametrize(("rate", "images"), [(0.02, 49), (0.05, 19), (0.1, 9), (0.3, 3)])
def test_as_many_images_are_needed_as_the_order_statistic_takes(rate: float, images: int) -> None:
    assert image_threshold(np.arange(1.0, images + 1), rate)[1]
    few = image_threshold(np.arange(1.0, images), rate)
    assert not few[1] and f"{images} are needed" in few[2]


def test_the_small_sample_bound_by_hand() -> None:
    # Logarithms -1, 0, 1: mean 0, sd 1; Student's t at 95 % and 2 degrees of freedom is 2.91999
    threshold, guaranteed, note = image_threshold(np.exp([-1.0, 0.0, 1.0]), 0.05)
    assert threshold.value == pytest.approx(np.exp(2.91999 * np.sqrt(4 / 3)), rel=1e-5)
    assert not guaranteed and "log-normal" in note


def test_a_few_images_of_which_one_stands_out_are_not_called_defective() -> None:
    scores = np.array([1.0] * 30 + [3.0])
    assert image_threshold(scores, 0.02)[0].value == 3.0


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.4], [0.5, 0.0, 0.4, 0.3]])
def test_scores_that_no_curve_can_be_fitted_to_give_the_highest(scores: list[float]) -> None:
    threshold, guaranteed, note = image_threshold(np.array(scores), 0.02)
    assert threshold.value == 0.5
    assert not guaranteed and "the highest of them" in note


def test_the_median_calibration_score_becomes_a_tenth() -> None:
    scores = RANDOM(5).lognormal(0.0, 0.3, size=99)
    threshold = image_threshold(scores, 0.02)[0]
    assert threshold.normalise(np.median(scores)) == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize("scores", [[0.0] * 60, [0.4] * 60, [0.0] * 40 + [0.3] * 20])
def test_equal_and_zero_scores_still_give_a_score_that_rises(scores: list[float]) -> None:
    threshold = image_threshold(np.array(scores), 0.02)[0]
    assert 1 <= threshold.steepness <= 100
    assert not threshold.exceeded(scores).any()
    rising = threshold.normalise([0, threshold.value, threshold.value * 1.1])
    assert (np.diff(rising) > 0).all() and rising[1] == 0.5


def test_the_value_is_a_float32_that_is_not_below_what_was_found() -> None:
    value = image_threshold(np.exp([-1.0, 0.1, 1.0]), 0.05)[0].value
    assert float(np.float32(value)) == value


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.37])
@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_pixel_threshold_is_the_exact_quantile_of_all_pixels(rate: float, batch: int) -> None:
    maps = RANDOM(2).lognormal(size=(50, 17, 23)).astype(np.float32)
    threshold = pixels_of(maps, rate, batch).threshold()
    ordered = np.sort(maps.ravel())
    allowed = int(maps.size * rate)
    assert threshold.value == ordered[maps.size - allowed - 1]
    assert threshold.exceeded(maps).sum() == allowed


def test_only_the_highest_pixels_are_kept() -> None:
    pixels = CalibrationPixels(100 * 64 * 64, 0.001)
    for number in range(100):
        pixels.add(RANDOM(number).random((1, 64, 64), dtype=np.float32))
        assert pixels._highest.size <= 410


def test_missing_and_undefined_pixels_are_refused() -> None:
    maps = np.ones((2, 4, 4), np.float32)
    short = CalibrationPixels(3 * 16, 0.1)
    short.add(maps)
    with pytest.raises(ValueError, match="32 calibration pixels came; announced: 48"):
        short.threshold()
    maps[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        pixels_of(maps, 0.1).threshold()


def test_another_rate_needs_the_scores_alone() -> None:
    scores = RANDOM(6).lognormal(size=80)
    fresh, changed = calibrated(scores, image_rate=0.1), with_image_rate(calibrated(scores), 0.1)
    assert changed == fresh
    assert changed.image.value < calibrated(scores).image.value


def test_no_calibration_image_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match=r"dataset\.calibration"):
        image_threshold(np.zeros(0), 0.02)


def test_ignored_pixels_have_no_part_in_the_pixel_threshold() -> None:
    maps = RANDOM(2).random((3, 10, 12), dtype=np.float32)
    valid = np.zeros(maps.shape, bool)
    valid[:, 2:9, 3:7] = True
    pixels = CalibrationPixels(int(valid.sum()), 0.1)
    pixels.add(maps * np.where(valid, 1, 9), valid)
    assert pixels.threshold() == pixels_of(maps[:, 2:9, 3:7], 0.1).threshold()


def test_a_chosen_threshold_says_how_many_good_images_it_would_call_defective() -> None:
    own = calibrated(np.arange(1.0, 61.0))
    given = chosen_thresholds(own, value=57.5)
    assert given is not None and given.image.value == 57.5 and given.pixel == own.pixel
    assert "image 57.5 (given, 3 of 60 good images that were held back lie above)" in str(given)
    assert chosen_thresholds(given, image_rate=0.02) == own
    assert chosen_thresholds(own) is own
    alone = chosen_thresholds(None, value=2.0)
    assert str(alone) == "image 2 (given), pixel 2 (given)"
    between = chosen_thresholds(None, value=1.9)  # two numbers of float32
    assert between is not None and 1.9 <= between.image.value < 1.9 + 2e-7


@pytest.mark.parametrize(
    ("own", "asked", "said"),
    [
        (None, {"image_rate": 0.1}, "dataset.calibration=0"),
        (chosen_thresholds(None, value=1.0), {"image_rate": 0.1}, "threshold=<score> needs none"),
        (None, {"value": 0.0}, "threshold must be above 0; found 0.0"),
        (None, {"image_rate": 1.0}, "thresholds.image_rate must be above 0 and below 1"),
        (None, {"value": 1.0, "image_rate": 0.1}, "exclude each other"),
    ],
)
def test_a_threshold_that_cannot_be_had_is_said_in_one_message(
    own: Thresholds | None, asked: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        chosen_thresholds(own, **asked)

"""Thresholds from normal images that were held back from training.

No test image has a say, and no defect is needed: what is asked for is how many good images may be
called defective.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdad.config.checks import check_threshold
from rdad.config.mistakes import ConfigError
from rdad.metrics.thresholds import Threshold, Thresholds

MEDIAN_NORMALISED = 0.1  # what the median calibration score becomes
UNCALIBRATED_STEEPNESS = 8.0  # as if the median score were three quarters of the threshold
STEEPNESS_LIMITS = (1.0, 100.0)  # where the median is no part of the threshold, or all of it
LEAST_FOR_FIT = 3  # with two scores the fitted bound lies anywhere
_SMALLEST = float(np.finfo(np.float32).tiny)


class CalibrationPixels:
    """The highest pixels of calibration maps: an exact quantile in the memory of its upper part.

    Args:
        total: How many pixels there will be in all.
        rate: The share of them that may lie above the threshold.
    """

    def __init__(self, total: int, rate: float) -> None:
        self.total, self.rate = total, rate
        self._kept = math.floor(total * rate + 1e-9) + 1
        self._highest = np.zeros(0, np.float32)
        self._medians: list[float] = []
        self._seen = 0

    def add(self, maps: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> None:
        """Take raw maps (B, H, W), or those of their pixels alone that are `valid` (B, H, W)."""
        if valid is None:
            self._medians += np.median(maps, axis=(1, 2)).tolist()
        else:
            self._medians += [float(np.median(m[v])) for m, v in zip(maps, valid, strict=True)]
            maps = maps[valid]
        self._seen += maps.size
        pixels = np.concatenate([self._highest, maps.ravel().astype(np.float32, copy=False)])
        excess = pixels.size - self._kept
        self._highest = np.partition(pixels, excess)[excess:] if excess > 0 else pixels

    def threshold(self) -> Threshold:
        """The lowest pixel value above which no more than the share of all pixels lies.

        The median that its steepness follows is that of the images' median pixels.

        Raises:
            ValueError: more or fewer pixels came than were announced, or a pixel is not finite.
        """
        if self._seen != self.total:
            raise ValueError(f"{self._seen} calibration pixels came; announced: {self.total}")
        _check_finite(self._highest, "calibration pixels")
        return _threshold(float(self._highest.min()), float(np.median(self._medians)))


def calibrate(scores: ArrayLike, pixels: CalibrationPixels, *, image_rate: float) -> Thresholds:
    """Both thresholds from the calibration images' raw scores (N,) and the pixels of their maps.

    Raises:
        ValueError: there is no score, or one is not finite.
    """
    raw = np.sort(np.asarray(scores, np.float64))
    image, guaranteed, note = image_threshold(raw, image_rate)
    return Thresholds(
        image=image,
        pixel=pixels.threshold(),
        image_rate=image_rate,
        pixel_rate=pixels.rate,
        images=raw.size,
        guaranteed=guaranteed,
        note=note,
        scores=tuple(raw.tolist()),
    )


def with_image_rate(thresholds: Thresholds, image_rate: float) -> Thresholds:
    """The same calibration read at another rate of images; no image is needed."""
    image, guaranteed, note = image_threshold(thresholds.scores, image_rate)
    found = replace(
        thresholds, image=image, image_rate=image_rate, guaranteed=guaranteed, note=note
    )
    return _with_each(found, lambda one: with_image_rate(one, image_rate))


def chosen_thresholds(
    own: Thresholds | None,
    *,
    value: float | None = None,
    image_rate: float | None = None,
    category: str | None = None,
) -> Thresholds | None:
    """A network's thresholds with the image threshold that is asked for, if one is.

    Args:
        value: A raw score.
        image_rate: The share of good images that may be called defective.
        category: Whose own thresholds they are.

    Raises:
        ConfigError: one is out of its range, both are given, there was no calibration, or none of
            the category.
    """
    check_threshold(value, image_rate)
    if category is not None:
        known = own.by_category if own else {}
        if category not in known:
            raise ConfigError(
                f"thresholds.category={category}: thresholds of its own have "
                f"{', '.join(known) or 'no categories of this network (thresholds.by=category)'}"
            )
        own = known[category]
    if value is not None:
        return with_image_value(own, value)
    if image_rate is None:
        return own
    if own is None or not own.scores:
        raise ConfigError(
            "thresholds.image_rate needs the scores of good images that were held back from the "
            "training, and there are none (dataset.calibration=0); threshold=<score> needs none"
        )
    return with_image_rate(own, image_rate)


def with_image_value(thresholds: Thresholds | None, value: float) -> Thresholds:
    """The thresholds with a raw image score in place of what was found.

    Without thresholds to begin with, the value holds for pixels too: an image is then defective
    where a pixel is.
    """
    note = "the image threshold was given"
    if thresholds is None:
        given = Threshold(_upward(value), UNCALIBRATED_STEEPNESS)
        return Thresholds(given, given, None, None, 0, False, note)
    median = float(np.median(thresholds.scores)) if thresholds.scores else 0.0
    given = _threshold(value, median)
    found = replace(thresholds, image=given, image_rate=None, guaranteed=False, note=note)
    return _with_each(found, lambda one: with_image_value(one, value))


def _with_each(found: Thresholds, change: Callable[[Thresholds], Thresholds]) -> Thresholds:
    own = {name: change(one) for name, one in found.by_category.items()}
    return replace(found, by_category=own)


def image_threshold(scores: ArrayLike, rate: float) -> tuple[Threshold, bool, str]:
    """The threshold, whether its rate is guaranteed, and how it was found.

    With n >= 1 / rate - 1 scores it is the ceil((n + 1)(1 - rate))-th smallest: a good image like
    those it was found on lies above with a probability of at most `rate`, whatever the scores'
    distribution (on average over calibrations; a single one may be luckier or not). With fewer, no
    order statistic does that, and the threshold is the one-sided prediction bound of log-normal
    scores, exp(mean + Student's t sd sqrt(1 + 1/n)) of their logarithms, or the highest score
    where that is more.
    """
    raw = np.sort(np.asarray(scores, np.float64))
    if not raw.size:
        raise ValueError("there is no calibration score; thresholds need dataset.calibration > 0")
    _check_finite(raw, "calibration scores")
    median, needed = float(np.median(raw)), math.ceil(1 / rate - 1 - 1e-9)
    if raw.size >= needed:
        place = math.ceil((raw.size + 1) * (1 - rate) - 1e-9)
        note = f"place {place} of {raw.size} calibration scores, from the lowest"
        return _threshold(raw[place - 1], median), True, note
    value, how = _small_sample_bound(raw, rate)
    note = (
        f"{raw.size} calibration images are too few to guarantee {100 * rate:g} % false alarms "
        f"({needed} are needed): the image threshold is {how}"
    )
    return _threshold(value, median), False, note


def advice(thresholds: Thresholds) -> str:
    """What to do where the image threshold's rate is not guaranteed."""
    kept = math.ceil(1000 / (thresholds.images + 1)) / 1000
    return (
        f"thresholds.image_rate={kept:g} is kept with {thresholds.images}, other ways are in "
        "docs/inspection.md#thresholds"
    )


def _small_sample_bound(raw: NDArray[np.float64], rate: float) -> tuple[float, str]:
    """Sorted scores -> a threshold, and what it is."""
    from scipy.special import stdtrit

    highest = float(raw[-1])
    if raw.size < LEAST_FOR_FIT or raw[0] <= 0:
        return highest, "the highest of them"
    logarithms = np.log(raw)
    student = float(stdtrit(raw.size - 1, 1 - rate))
    width = student * logarithms.std(ddof=1) * math.sqrt(1 + 1 / raw.size)
    bound = math.exp(min(logarithms.mean() + width, math.log(np.finfo(np.float32).max)))
    if bound <= highest:
        return highest, "the highest of them"
    return bound, "an estimate that takes their scores for log-normal"


def _threshold(value: float, median: float) -> Threshold:
    """With the steepness that makes `MEDIAN_NORMALISED` of the median, within its limits."""
    rounded, (least, most) = _upward(value), STEEPNESS_LIMITS
    if median <= 0:
        return Threshold(rounded, least)
    if median >= rounded:
        return Threshold(rounded, most)
    odds = math.log((1 - MEDIAN_NORMALISED) / MEDIAN_NORMALISED)
    return Threshold(rounded, min(max(odds / math.log(rounded / median), least), most))


def _upward(value: float) -> float:
    """`value` in float32, rounded up, so that no consumer's precision changes a verdict."""
    rounded = np.float32(max(value, _SMALLEST))
    if float(rounded) < value:  # NumPy compares a float32 with a float as two float32
        rounded = np.nextafter(rounded, np.float32(np.inf))
    return float(rounded)


def _check_finite(values: NDArray[np.floating], what: str) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{np.sum(~np.isfinite(values))} of {values.size} {what} are not finite")

"""Which thresholds an evaluation judges by: the run's, the run's read anew, new ones, or none."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from rdad.config.compose import ConfigError
from rdad.detector.calibration import with_image_rate, with_image_value
from rdad.metrics.thresholds import Thresholds

log = logging.getLogger(__name__)

Calibrate = Callable[[float, float], Thresholds | None]


@dataclass(frozen=True)
class Wanted:
    """What the command line says of thresholds; None where it says nothing."""

    threshold: float | None
    image_rate: float | None
    pixel_rate: float | None


def carried_thresholds(
    stored: Thresholds | None,
    wanted: Wanted,
    default_rates: tuple[float, float],
    *,
    same_maps: bool,
    calibrate: Calibrate | None,
    on_other_images: bool,
) -> Thresholds | None:
    """The thresholds of an evaluation; where there are none, a warning says why.

    Args:
        stored: The model's.
        default_rates: For images and pixels, where neither `wanted` nor `stored` says one.
        same_maps: Whether the maps are computed as when `stored` was found.
        calibrate: Finds new thresholds, by rates of images and pixels, on images that were not
            trained on; None where there are none.
        on_other_images: Whether those are not the images that the run held back, but such as the
            command line asked for.

    Raises:
        ConfigError: what is wanted needs calibration images, and there are none.
        ValueError: a rate or a threshold is out of range.
    """
    own_image_rate, own_pixel_rate = default_rates
    if stored is not None:  # its rates are None where a threshold was given instead
        own_image_rate = stored.image_rate or own_image_rate
        own_pixel_rate = stored.pixel_rate or own_pixel_rate
    image_rate = wanted.image_rate or own_image_rate
    pixel_rate = wanted.pixel_rate or own_pixel_rate
    if same_maps and stored is not None and pixel_rate == own_pixel_rate and not on_other_images:
        found = stored if image_rate == own_image_rate else with_image_rate(stored, image_rate)
    elif calibrate is not None:
        found = calibrate(image_rate, pixel_rate)
    else:
        _refuse_rates(wanted)
        if stored is not None:
            log.warning(
                "the run's thresholds do not carry over to another mode, blur or tile: verdicts "
                "need its calibration images, or threshold=…"
            )
        found = None
    if wanted.threshold is None:
        return found
    return with_image_value(found, wanted.threshold)


def _refuse_rates(wanted: Wanted) -> None:
    for name, rate in (("image_rate", wanted.image_rate), ("pixel_rate", wanted.pixel_rate)):
        if rate is not None:
            raise ConfigError(
                f"thresholds.{name} needs normal images that were not trained on: the run's own "
                "calibration images are not here, and dataset.calibration says of no others"
            )

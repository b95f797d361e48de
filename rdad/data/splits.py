"""Which normal images are trained on, validated on, calibrated on."""

import logging
from dataclasses import dataclass

from rdad.data.listing import draw

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rows:
    """Sorted places of the normal images; each is in one part only."""

    train: list[int]
    validation: list[int]
    calibration: list[int]


def split_rows(count: int, *, validation: float, calibration: float, seed: int) -> Rows:
    """A seeded split of `count` images.

    Args:
        validation: The share to validate on; 0 for none.
        calibration: The share, of the images that are left then, to find thresholds on; 0 for none.

    Raises:
        ValueError: there are too few images to validate on one.
    """
    if validation and count < 2:
        raise ValueError(f"validation=split needs 2 training images or more; found {count}")
    held = draw(count, part=validation, seed=seed)
    rest = sorted(set(range(count)) - set(held))
    if calibration and len(rest) < 2:
        log.warning("no image can be held back for calibration: there is only one to train on")
    chosen = draw(len(rest), part=calibration, seed=seed)
    calibrated = [rest[place] for place in chosen]
    return Rows(sorted(set(rest) - set(calibrated)), held, calibrated)

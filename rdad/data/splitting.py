"""Which of the training images are trained on, validated on, or kept for thresholds."""

import logging
from collections.abc import Sequence

from rdad.data.samples import Sample, draw

log = logging.getLogger(__name__)

Rows = list[int]


def split(
    samples: Sequence[Sample], *, validation: float, calibration: float, seed: int
) -> tuple[Rows, Rows, Rows]:
    """As `split_rows` of each category, but all views of an item go the same way."""
    trained, held, calibrated = Rows(), Rows(), Rows()
    for category in dict.fromkeys(sample.category for sample in samples):
        rows = [row for row, sample in enumerate(samples) if sample.category == category]
        items = item_numbers([samples[row] for row in rows])
        count = len(set(items))
        drawn = split_rows(count, validation=validation, calibration=calibration, seed=seed)
        for part, chosen in zip((trained, held, calibrated), map(set, drawn), strict=True):
            part += [row for row, item in zip(rows, items, strict=True) if item in chosen]
    return trained, held, calibrated


def item_numbers(samples: Sequence[Sample]) -> Rows:
    """For each sample the number of its item: one for all its views, in order of the first."""
    numbers: dict[str | int, int] = {}
    return [
        numbers.setdefault(sample.part or row, len(numbers)) for row, sample in enumerate(samples)
    ]


def split_rows(
    count: int, *, validation: float, calibration: float, seed: int
) -> tuple[Rows, Rows, Rows]:
    """A seeded split of `count` images: sorted places to train on, validate on, calibrate on.

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
    calibrated = [rest[place] for place in draw(len(rest), part=calibration, seed=seed)]
    return sorted(set(rest) - set(calibrated)), held, calibrated

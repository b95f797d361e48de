"""How much of a defect is enough, where a data set says so: MVTec LOCO AD's and AutoVI's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdad.data.images import DataError, mask_values, read_bytes

DEFECTS_CONFIG = "defects_config.json"
"""Beside a category's train and test folders."""


@dataclass(frozen=True)
class Saturation:
    """Of one kind of defect: pixels, or if `relative` the share of its area, that are enough."""

    threshold: float
    relative: bool

    def __post_init__(self) -> None:
        found = self.threshold
        allowed = "above 0 and up to 1" if self.relative else "a whole number, 1 or more"
        if not (0 < found <= 1 if self.relative else found >= 1 and found % 1 == 0):
            raise ValueError(f"saturation_threshold is {found}; allowed: {allowed}")

    def pixels(self, area: int) -> int:
        """Enough of a defect of `area` pixels: rounded down as MVTec's program does, 1 or more."""
        share = int(self.threshold * area) if self.relative else int(self.threshold)
        return max(min(share, area), 1)


def read_saturations(path: Path) -> dict[int, Saturation]:
    """By the value that a defect's pixels have in its mask file.

    Raises:
        DataError: the file is missing, or holds something else.
    """
    try:
        entries = json.loads(read_bytes(path))
        return {
            int(entry["pixel_value"]): Saturation(
                float(entry["saturation_threshold"]), bool(entry["relative_saturation"])
            )
            for entry in entries
        }
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        keys = "pixel_value, saturation_threshold and relative_saturation"
        raise DataError([f"{path}: not a list of entries with {keys} ({error!r})"]) from error


def read_regions(
    masks: Sequence[Path], saturations: Mapping[int, Saturation]
) -> list[tuple[NDArray[np.bool_], int]]:
    """Each file's defect, one whether it is connected or not: its mask (H, W), and what is enough.

    Raises:
        DataError: a file is no mask, marks nothing, or has a value that `saturations` lacks.
    """
    return [_region(mask_values(read_bytes(path), path), path, saturations) for path in masks]


def _region(
    values: NDArray[Any], path: Path, saturations: Mapping[int, Saturation]
) -> tuple[NDArray[np.bool_], int]:
    marked = values > 0
    found = np.unique(values[marked]).tolist()
    if len(found) != 1 or found[0] not in saturations:
        held = " and ".join(map(str, found)) or "no defect"
        known = ", ".join(map(str, sorted(saturations)))
        raise DataError([f"{path}: holds {held}; by {DEFECTS_CONFIG} it is one of {known}"])
    return marked, saturations[found[0]].pixels(int(np.count_nonzero(marked)))

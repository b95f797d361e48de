"""What the options of a data set may be, checked with nothing slow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from rdad.data.depth import is_bits
from rdad.data.joint import Category

TEXTURES = ("brick", "grass", "gravel")  # categories of the embedded data set
Validation = Literal["none", "split", "test"]
Resize = Literal["stretch", "letterbox"]
Ignore = str | Path | Sequence[float] | None

LARGEST_SEED = 2**32 - 1  # numpy's
MOST_IMAGES = 1_000_000  # in a batch


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and "/" not in value


def listed(category: Category) -> Sequence[str]:
    if isinstance(category, str) or not isinstance(category, Sequence):
        return [category]
    return category


def _is_ignore(value: object) -> bool:
    """A rectangle's whole numbers are pixels, of which 1 would be none; others are shares."""
    if value is None or isinstance(value, str | Path):
        return value is None or bool(str(value).strip())
    if not isinstance(value, Sequence) or len(value) != 4 or not all(map(_is_number, value)):
        return False
    top, left, bottom, right = value
    ordered = 0 <= top < bottom and 0 <= left < right
    return ordered and (max(value) <= 1 or all(isinstance(one, int) for one in value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


RANGES = {
    "category": (  # of results too: nothing is written beside the run's folder
        "a folder's name, without /",
        lambda v: v is None or all(map(_is_name, listed(v))),
    ),
    "image_size": ("[height, width], both 1 or more", lambda v: len(v) == 2 and min(v) >= 1),
    "batch_size": (f"in [1, {MOST_IMAGES}]", lambda v: 1 <= v <= MOST_IMAGES),
    "validation": (f"one of {', '.join(get_args(Validation))}", get_args(Validation).__contains__),
    "validation_fraction": ("above 0 and below 1", lambda v: 0 < v < 1),
    "calibration": ("in [0, 1)", lambda v: 0 <= v < 1),
    "holdout": ("in [0, 1)", lambda v: 0 <= v < 1),
    "bits": ("auto, or a number from 8 to 16", lambda v: v == "auto" or is_bits(v)),
    "resize": (f"one of {', '.join(get_args(Resize))}", get_args(Resize).__contains__),
    "ignore": (
        "null, a mask's file, a folder of masks, or the [top, left, bottom, right] of what is "
        "looked at, in whole pixels or in shares of the sides from 0 to 1",
        _is_ignore,
    ),
    "seed": (f"in [0, {LARGEST_SEED}]", lambda v: 0 <= v <= LARGEST_SEED),
}


def check_ranges(**given: Any) -> None:
    """Raises ValueError for a value that is not in its key's range: what was found, what may be."""
    for key, found in given.items():
        allowed, holds = RANGES[key]
        if not holds(found):
            raise ValueError(f"{key} must be {allowed}; found {found!r}")


def check_tiles(tile: object, resize: Resize, ignore: Ignore) -> None:
    """Raises ValueError where images are cut into tiles and framed as well."""
    if tile is not None and (resize != "stretch" or ignore is not None):
        named = "ignore" if ignore is not None else f"resize={resize}"
        raise ValueError(f"tile cuts images at their own size, and does not go with {named}")


def check_texture(category: str) -> None:
    """Raises ValueError for a category that the embedded data set has not."""
    if category not in TEXTURES:
        raise ValueError(f"category must be one of {', '.join(TEXTURES)}; found {category!r}")

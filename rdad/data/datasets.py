"""What `dataset=<name>` builds: one function a format, each giving an AnomalyDataModule."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

from rdad import data  # whose classes are loaded at their first use
from rdad.data.layouts import read_folder, read_mvtec_ad
from rdad.data.samples import fitting
from rdad.runs.files import resolved

Validation = Literal["none", "split", "test"]

RANGES = {
    "category": (  # of results too: nothing is written beside the run's folder
        "a folder's name, without /",
        lambda v: v is None or (v not in (".", "..") and "/" not in v),
    ),
    "image_size": ("[height, width], both 1 or more", lambda v: len(v) == 2 and min(v) >= 1),
    "batch_size": ("1 or more", lambda v: v >= 1),
    "validation": (f"one of {', '.join(get_args(Validation))}", get_args(Validation).__contains__),
    "validation_fraction": ("above 0 and below 1", lambda v: 0 < v < 1),
    "calibration": ("in [0, 1)", lambda v: 0 <= v < 1),
    "holdout": ("in [0, 1)", lambda v: 0 <= v < 1),
}


def check_ranges(**given: Any) -> None:
    """Raises ValueError for a value that is not in its key's range: what was found, what may be."""
    for key, found in given.items():
        allowed, holds = RANGES[key]
        if not holds(found):
            raise ValueError(f"{key} must be {allowed}; found {found!r}")


class Loading(TypedDict, total=False):
    """Parameters of AnomalyDataModule that every format takes; see there."""

    image_size: Sequence[int]
    batch_size: int
    validation: Validation
    validation_fraction: float
    calibration: float
    split_seed: int
    seed: int
    tile: Sequence[int] | None
    tile_overlap: float
    cache_dir: str | Path | None


def textures(category: str = "brick", **loading: Unpack[Loading]) -> "data.AnomalyDataModule":
    """The embedded data set: photographs of brick, grass or gravel, defects drawn in."""
    from rdad.data.texture_photographs import check_category, read_textures

    check_category(category)
    read = partial(read_textures, category, loading.get("cache_dir"))
    return data.AnomalyDataModule(read, name="textures", category=category, **loading)


def mvtec_ad(
    root: str | Path, category: str, **loading: Unpack[Loading]
) -> "data.AnomalyDataModule":
    """A category of MVTec AD, or of any data set in its layout."""
    read = partial(read_mvtec_ad, root, category)
    return data.AnomalyDataModule(read, name="mvtec_ad", category=fitting(category), **loading)


def folder(
    root: str | Path,
    normal: str | Sequence[str],
    normal_test: str | Sequence[str] | None = None,
    defects: str | Sequence[str] = (),
    masks: str | Sequence[str] = (),
    holdout: float = 0.2,
    category: str | None = None,
    **loading: Unpack[Loading],
) -> "data.AnomalyDataModule":
    """A user's own folders, see `rdad.data.layouts.read_folder`.

    `category` is a name for results, by default that of the folder `root`.
    """
    check_ranges(holdout=holdout)
    split_seed = loading.get("split_seed", 0)
    read = partial(read_folder, root, normal, normal_test, defects, masks, holdout, split_seed)
    label = fitting(category or resolved(Path(root).expanduser()).name)
    return data.AnomalyDataModule(read, name="folder", category=label, **loading)

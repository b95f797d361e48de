"""What `dataset=<name>` builds: one function a format, each giving an AnomalyDataModule."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

from rdad import data  # whose classes are loaded at their first use
from rdad.data.depth import Bits, is_bits
from rdad.data.joint import Category, Read, check_joint, joined, label
from rdad.data.layouts import read_folder, read_mvtec_ad
from rdad.data.readers.published import warn_of_counts
from rdad.data.samples import Samples, existing_folder, fitting
from rdad.runs.files import resolved
from rdad.runs.names import expanded

TEXTURES = ("brick", "grass", "gravel")  # categories of the embedded data set
Validation = Literal["none", "split", "test"]
Resize = Literal["stretch", "letterbox"]
Ignore = str | Path | Sequence[float] | None

LARGEST_SEED = 2**32 - 1  # numpy's
MOST_IMAGES = 1_000_000  # in a batch


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and "/" not in value


def _listed(category: Category) -> Sequence[str]:
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
        lambda v: v is None or all(map(_is_name, _listed(v))),
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
    bits: Bits
    resize: Resize
    ignore: Ignore
    cache_dir: str | Path | None
    joint: bool


class Public(Loading, total=False):
    """Parameters that the public data sets take beside `root` and `category`.

    With `download` a root that is not there is made, see `rdad.data.download`: that accepts the
    data set's licence.
    """

    download: bool


def textures(category: Category = "brick", **loading: Unpack[Loading]) -> "data.AnomalyDataModule":
    """The embedded data set: photographs of brick, grass or gravel, defects drawn in."""
    from rdad.data.texture_photographs import read_textures

    for one in _listed(category):
        check_texture(one)
    read = partial(read_textures, cache_dir=loading.get("cache_dir"))
    return one_or_joint("textures", read, category, loading)


def mvtec_ad(
    root: str | Path, category: Category, **loading: Unpack[Public]
) -> "data.AnomalyDataModule":
    """A category of MVTec AD, or of any data set in its layout."""
    return public("mvtec_ad", read_mvtec_ad, root, category, loading)


def public(
    name: str,
    read: Callable[[Path, str], Samples],
    root: str | Path,
    category: Category,
    loading: Public,
) -> "data.AnomalyDataModule":
    """A category of a public data set; the log says where its counts are not those published.

    With `joint` several, as of `one_or_joint`.

    Args:
        name: The data set's, as in `dataset=<name>`.
        read: Finds the images of a category under the root, which exists.
    """
    found = partial(_counted, name, read, root, fetch=loading.get("download", False))
    further: Any = {key: value for key, value in loading.items() if key != "download"}
    return one_or_joint(name, found, category, further)


def one_or_joint(
    name: str, read: Read, category: Category, loading: Loading
) -> "data.AnomalyDataModule":
    """A category, or with `joint` several as one, see `rdad.data.joint`.

    Raises:
        ValueError: a list of categories without `joint`, or `joint` without a list.
    """
    further: dict[str, Any] = {**loading}
    joint = further.pop("joint", False)
    check_ranges(category=category)
    check_joint(category, joint)
    names = tuple(_listed(category))
    found = partial(joined, read, names) if joint else partial(read, *names)
    return data.AnomalyDataModule(found, name=name, category=label(category), **further)


def folder(
    root: str | Path,
    normal: str | Sequence[str],
    normal_test: str | Sequence[str] | None = None,
    defects: str | Sequence[str] = (),
    masks: str | Sequence[str] = (),
    holdout: float = 0.2,
    category: str | None = None,
    recursive: bool = False,
    allow_duplicates: bool = False,
    **loading: Unpack[Loading],
) -> "data.AnomalyDataModule":
    """A user's own folders, see `rdad.data.layouts.read_folder`.

    `category` is a name for results, by default that of the folder `root`. With `allow_duplicates`
    test images that are training images too are a warning, and no error.
    """
    check_ranges(holdout=holdout)
    split_seed = loading.get("split_seed", 0)
    found = (root, normal, normal_test, defects, masks, holdout, split_seed, recursive)
    read = partial(read_folder, *found)
    named = fitting(category or resolved(expanded(root)).name)
    refuse = not allow_duplicates
    return data.AnomalyDataModule(
        read, name="folder", category=named, refuse_duplicates=refuse, **as_one(loading)
    )


def as_one(loading: Loading) -> dict[str, Any]:
    """What a module of images without categories takes; raises ValueError where they are joined."""
    if loading.get("joint", False):
        raise ValueError("joint takes a data set with categories; these images have none")
    return {name: value for name, value in loading.items() if name != "joint"}


def _counted(
    name: str, read: Callable[[Path, str], Samples], root: str | Path, category: str, fetch: bool
) -> Samples:
    if fetch and not expanded(root).is_dir():
        from rdad.data.download import download  # what opens archives is slow

        download(name, expanded(root), accept=True)
    samples = read(existing_folder(root), category)
    warn_of_counts(name, category, samples)
    return samples

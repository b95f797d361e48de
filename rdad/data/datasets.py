"""What `dataset=<name>` builds: one function a format, each giving an AnomalyDataModule."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.depth import Bits
from rdad.data.joint import Category, Read, check_joint, joined, label
from rdad.data.layouts import read_folder, read_mvtec_ad
from rdad.data.ranges import Ignore, Resize, Validation, check_ranges, check_texture, listed
from rdad.data.readers.published import warn_of_counts
from rdad.data.samples import Samples, existing_folder, fitting
from rdad.runs.files import resolved
from rdad.runs.names import expanded


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


def textures(category: Category = "brick", **loading: Unpack[Loading]) -> AnomalyDataModule:
    """The embedded data set: photographs of brick, grass or gravel, defects drawn in."""
    from rdad.data.texture_photographs import read_textures

    for one in listed(category):
        check_texture(one)
    read = partial(read_textures, cache_dir=loading.get("cache_dir"))
    return one_or_joint("textures", read, category, loading)


def mvtec_ad(root: str | Path, category: Category, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of MVTec AD, or of any data set in its layout."""
    return public("mvtec_ad", read_mvtec_ad, root, category, loading)


def public(
    name: str,
    read: Callable[[Path, str], Samples],
    root: str | Path,
    category: Category,
    loading: Public,
) -> AnomalyDataModule:
    """A category of a public data set; the log says where its counts are not those published.

    With `joint` several, as of `one_or_joint`.

    Args:
        name: The data set's, as in `dataset=<name>`.
        read: Finds the images of a category under the root, which exists.
    """
    found = partial(_counted, name, read, root, fetch=loading.get("download", False))
    further: Any = {key: value for key, value in loading.items() if key != "download"}
    return one_or_joint(name, found, category, further)


def one_or_joint(name: str, read: Read, category: Category, loading: Loading) -> AnomalyDataModule:
    """A category, or with `joint` several as one, see `rdad.data.joint`.

    Raises:
        ValueError: a list of categories without `joint`, or `joint` without a list.
    """
    further: dict[str, Any] = {**loading}
    joint = further.pop("joint", False)
    check_ranges(category=category)
    check_joint(category, joint)
    names = tuple(listed(category))
    found = partial(joined, read, names) if joint else partial(read, *names)
    return AnomalyDataModule(found, name=name, category=label(category), **further)


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
) -> AnomalyDataModule:
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
    return AnomalyDataModule(
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

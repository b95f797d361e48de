"""MVTec 3D-AD, its colour images alone: masks lie inside the test folders, also of good ones."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import category_folder
from rdad.data.readers.trees import unpacked_categories
from rdad.data.samples import (
    GOOD,
    Samples,
    check_masks,
    existing_folder,
    images_of,
    labelled,
    named,
    subfolders,
)

LAYOUT = "<category>/{train, validation, test}/<type>/{rgb, gt}"


def mvtec_3d(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of MVTec 3D-AD, without its depth."""
    return public("mvtec_3d", read_mvtec_3d, root, category, loading)


def read_mvtec_3d(root: Path, category: str) -> Samples:
    """The masks of good images, which mark nothing, are not taken."""
    place = unpacked_categories(root, "validation")
    base = category_folder(place, category, holding="validation", layout=LAYOUT)
    train, validation = (
        named(labelled(images_of(base / split / GOOD / "rgb"), GOOD))
        for split in ("train", "validation")
    )
    kinds = subfolders(existing_folder(base / "test"))
    masks = {kind: None if kind.name == GOOD else kind / "gt" for kind in kinds}
    test = [
        one for kind in kinds for one in labelled(images_of(kind / "rgb"), kind.name, masks[kind])
    ]
    check_masks(test, [folder for folder in masks.values() if folder], named="{stem}.png")
    return Samples(train=train, test=named(test), calibration=validation)

"""DAGM 2007: a mask, an ellipse, for defects alone; defects also among the training images."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import category_folder
from rdad.data.readers.trees import DEFECT, trained_on_good, unpacked_categories
from rdad.data.samples import GOOD, Sample, Samples, existing_folder, images_of, labelled

LAYOUT = "Class1/{Train, Test}/{0001.PNG, Label/0001_label.PNG}"


def dagm(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of DAGM 2007: Class1 to Class10."""
    return public("dagm", read_dagm, root, category, loading)


def read_dagm(root: Path, category: str) -> Samples:
    """An image is defective where `Label` has a mask of it, so that without any all would be good.

    Raises:
        FileNotFoundError: images or masks are missing.
        ValueError: there is no such category; the message lists those found.
    """
    place = unpacked_categories(root, "Train")
    base = category_folder(place, category, holding="Train", layout=LAYOUT)
    return trained_on_good(_labelled(base / "Train"), _labelled(base / "Test"))


def _labelled(folder: Path) -> list[Sample]:
    masks = existing_folder(folder / "Label")
    images_of(masks, expected="a mask of each defect")
    found = labelled(images_of(folder), DEFECT, masks)
    return [one if one.mask else replace(one, label=0, defect_type=GOOD) for one in found]

"""BTAD (beanTech): good images lie in `ok`, defects in `ko`; masks have endings of their own."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import category_folder
from rdad.data.readers.trees import unpacked_categories
from rdad.data.samples import GOOD, Samples, check_masks, images_of, labelled, named

LAYOUT = "{01, 02, 03}/{train/ok, test/{ok, ko}, ground_truth/ko}"


def btad(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of BTAD: 01, 02 or 03."""
    return public("btad", read_btad, root, category, loading)


def read_btad(root: Path, category: str) -> Samples:
    """`root` may be the folder of the archive, `BTech_Dataset_transformed`, or hold it."""
    base = category_folder(unpacked_categories(root, "train"), category, layout=LAYOUT)
    masks = base / "ground_truth" / "ko"
    defects = labelled(images_of(base / "test" / "ko"), "ko", masks)
    check_masks(defects, [masks], named="{stem}.png")
    good = labelled(images_of(base / "test" / "ok"), GOOD)
    train = labelled(images_of(base / "train" / "ok"), GOOD)
    return Samples(train=named(train), test=named([*good, *defects]))

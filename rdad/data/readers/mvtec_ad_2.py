"""MVTec AD 2: a public test, private ones without labels, and a validation split."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import category_folder
from rdad.data.readers.trees import told_unlabelled, unpacked_categories
from rdad.data.samples import GOOD, Samples, check_masks, images_of, labelled, named

PRIVATE = ("test_private", "test_private_mixed")
LAYOUT = "<category>/{train/good, validation/good, test_public/{good, bad, ground_truth/bad}}"


def mvtec_ad_2(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of MVTec AD 2, tested on its public test images."""
    return public("mvtec_ad_2", read_mvtec_ad_2, root, category, loading)


def read_mvtec_ad_2(root: Path, category: str) -> Samples:
    """Images in `good` and `bad` have the same names: maps and tables hold the folder as well."""
    place = unpacked_categories(root, "test_public")
    base = category_folder(place, category, holding="test_public", layout=LAYOUT)
    test, masks = base / "test_public", base / "test_public" / "ground_truth" / "bad"
    bad = labelled(images_of(test / "bad"), "bad", masks)
    check_masks(bad, [masks])
    told_unlabelled([base / folder for folder in PRIVATE])
    return Samples(
        train=named(labelled(images_of(base / "train" / GOOD), GOOD)),
        test=named([*bad, *labelled(images_of(test / GOOD), GOOD)]),
        calibration=named(labelled(images_of(base / "validation" / GOOD), GOOD)),
    )

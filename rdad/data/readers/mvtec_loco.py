"""MVTec LOCO AD and AutoVI: a folder of masks for each defective image."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import category_folder
from rdad.data.readers.trees import sample, unpacked_categories
from rdad.data.samples import (
    GOOD,
    Sample,
    Samples,
    check_masks,
    existing_folder,
    images_of,
    labelled,
    list_images,
    named,
    subfolders,
)

LAYOUT = "<category>/{train/good, test/<type>, ground_truth/<type>/<stem>/000.png}"


def mvtec_loco(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of MVTec LOCO AD: `logical_anomalies` and `structural_anomalies`."""
    return public("mvtec_loco", read_mvtec_loco, root, category, loading)


def autovi(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of AutoVI, parts of a car on its assembly line."""
    return public("autovi", read_mvtec_loco, root, category, loading)


def read_mvtec_loco(root: Path, category: str) -> Samples:
    """What any mask in an image's folder marks is defect, whatever value marks it."""
    base = category_folder(unpacked_categories(root, "train"), category, layout=LAYOUT)
    validation, masks = base / "validation" / GOOD, base / "ground_truth"
    kinds = subfolders(existing_folder(base / "test"))
    test = [one for kind in kinds for one in _tested(kind, masks / kind.name)]
    if not test:
        images_of(base / "test", expected=f"{category}/test/<type>/*.png")
    check_masks(test, [masks], named="{type}/{stem}/000.png")
    return Samples(
        train=named(labelled(images_of(base / "train" / GOOD), GOOD)),
        test=named(test),
        calibration=named(labelled(images_of(validation), GOOD) if validation.is_dir() else ()),
    )


def _tested(kind: Path, masks: Path) -> list[Sample]:
    folders = {image: masks / image.stem for image in list_images(kind)}
    return [
        sample(image, kind.name, list_images(folder) if folder.is_dir() else ())
        for image, folder in folders.items()
    ]

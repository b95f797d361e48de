"""VisA: as published, split by its list alone; or as others lay it out like MVTec AD."""

import csv
from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.readers.mvtec_layout import read_mvtec_layout
from rdad.data.readers.trees import sample, trained_on_good, unpacked
from rdad.data.samples import Sample, Samples

LIST = Path("split_csv", "1cls.csv")
DEFECT = "bad"  # as in the other layout


def visa(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of VisA: candle, capsules, cashew and so on."""
    return public("visa", read_visa, root, category, loading)


def read_visa(root: Path, category: str) -> Samples:
    """By `split_csv/1cls.csv` where it is there: no folder says what is trained on.

    Without it by the folders `<category>/{train/good, test/{good, bad}, ground_truth/bad}`, in
    `root` or in `1cls` or `visa_pytorch` under it.

    Raises:
        ValueError: there is no such category; the message lists those found.
        FileNotFoundError: neither the list nor such folders are there.
    """
    place = unpacked(root, lambda folder: (folder / LIST).is_file())
    if not (place / LIST).is_file():
        if any(root.glob("*/Data/Images")):
            raise FileNotFoundError(f"no {LIST} in {root}, which says what is trained on")
        return read_mvtec_layout(root, category)
    with (place / LIST).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and (lacking := {"object", "split", "label", "image", "mask"} - rows[0].keys()):
        raise ValueError(f"{place / LIST} lacks the column {', '.join(sorted(lacking))}")
    if not any(row["object"] == category for row in rows):
        found = ", ".join(sorted({row["object"] for row in rows}))
        raise ValueError(f"no category {category!r} in {place / LIST}; found: {found}")
    train, test = (
        [_sample(place, row) for row in rows if (row["object"], row["split"]) == (category, split)]
        for split in ("train", "test")
    )
    return trained_on_good(*(sorted(part, key=lambda one: one.image) for part in (train, test)))


def _sample(place: Path, row: dict[str, str]) -> Sample:
    if row["label"] == "normal":
        return sample(place / row["image"])
    masks = [place / row["mask"]] if row["mask"] else []
    return sample(place / row["image"], DEFECT, masks)

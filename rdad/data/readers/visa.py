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
COLUMNS = ("object", "split", "label", "image", "mask")
DEFECT = "bad"  # as in the other layout


def visa(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of VisA: candle, capsules, cashew and so on."""
    return public("visa", read_visa, root, category, loading)


def read_visa(root: Path, category: str) -> Samples:
    """By `split_csv/1cls.csv` where it is there: no folder says what is trained on.

    Without it by the folders `<category>/{train/good, test/{good, bad}, ground_truth/bad}`, in
    `root` or in `1cls` or `visa_pytorch` under it.

    Raises:
        ValueError: the list cannot be read, or there is no such category; the message lists those
            found.
        FileNotFoundError: neither the list nor such folders are there.
    """
    place = unpacked(root, lambda folder: (folder / LIST).is_file())
    if not (place / LIST).is_file():
        if any(root.glob("*/Data/Images")):
            raise FileNotFoundError(f"no {LIST} in {root}, which says what is trained on")
        return read_mvtec_layout(root, category)
    rows = _rows(place / LIST)
    if not any(row["object"] == category for row in rows):
        found = ", ".join(sorted({row["object"] for row in rows}))
        raise ValueError(f"no category {category!r} in {place / LIST}; found: {found}")
    train, test = (
        [_sample(place, row) for row in rows if (row["object"], row["split"]) == (category, split)]
        for split in ("train", "test")
    )
    return trained_on_good(*(sorted(part, key=lambda one: one.image) for part in (train, test)))


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:  # Excel puts a mark before it
            rows = list(csv.DictReader(opened, restval=""))
    except (csv.Error, UnicodeError) as error:
        raise ValueError(f"{file} is no table: {error}") from error
    if rows and (lacking := {*COLUMNS} - rows[0].keys()):
        raise ValueError(f"{file} lacks the column {', '.join(sorted(lacking))}")
    for number, row in enumerate(rows, start=2):
        if not row["image"]:
            raise ValueError(f"{file}, line {number}: no image")
    return rows


def _sample(place: Path, row: dict[str, str]) -> Sample:
    if row["label"] == "normal":
        return sample(place / row["image"])
    masks = [place / row["mask"]] if row["mask"] else []
    return sample(place / row["image"], DEFECT, masks)

"""Magnetic tile surface defects, as its repository lies: `MT_<type>/Imgs/{<n>.jpg, <n>.png}`."""

import logging
from functools import partial
from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.decoding import marking
from rdad.data.ranges import check_ranges
from rdad.data.readers.trees import sample, told_left_out, unpacked
from rdad.data.samples import Sample, Samples, draw, images_of, named, subfolders

log = logging.getLogger(__name__)

FREE = "MT_Free"


def magnetic_tile(
    root: str | Path,
    category: str = "magnetic_tile",
    holdout: float = 0.2,
    **loading: Unpack[Public],
) -> AnomalyDataModule:
    """Magnetic tiles. They have no split: `holdout` of the good ones, drawn, are tested on."""
    check_ranges(holdout=holdout)
    read = partial(read_magnetic_tile, holdout=holdout, split_seed=loading.get("split_seed", 0))
    return public("magnetic_tile", read, root, category, loading)


def read_magnetic_tile(
    root: Path, category: str, holdout: float = 0.2, split_seed: int = 0
) -> Samples:
    """JPEG files are images, PNG files their masks; `category` is a name for results.

    Good tiles have black masks. So have four uneven ones, which are left out.
    """
    place = unpacked(root, lambda folder: (folder / FREE).is_dir())
    good = [sample(image) for image in _photographs(place / FREE)]
    held = set(draw(len(good), part=holdout, seed=split_seed))
    log.info("%d of %d good images are held out for testing", len(held), len(good))
    kinds = [one for one in subfolders(place) if one.name.startswith("MT_") and one.name != FREE]
    defects = [
        sample(image, kind.name.removeprefix("MT_").lower(), [image.with_suffix(".png")])
        for kind in kinds
        for image in _photographs(kind)
    ]
    marks = marking([mask for one in defects for mask in one.masks])
    told_left_out([one for one in defects if one.mask not in marks], "defects without any mark")
    tested: list[Sample] = [good[row] for row in sorted(held)]
    return Samples(
        train=named(one for row, one in enumerate(good) if row not in held),
        test=named([*tested, *(one for one in defects if one.mask in marks)]),
    )


def _photographs(folder: Path) -> list[Path]:
    files = images_of(folder / "Imgs", expected="<n>.jpg and <n>.png")
    return [file for file in files if file.suffix.lower() in {".jpg", ".jpeg"}]

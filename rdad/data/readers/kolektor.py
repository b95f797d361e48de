"""KolektorSDD and KolektorSDD2: a mask beside each image says whether it is good."""

import logging
from functools import partial
from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.decoding import marking
from rdad.data.ranges import check_ranges
from rdad.data.readers.trees import DEFECT, sample, trained_on_good, unpacked
from rdad.data.samples import Sample, Samples, draw, images_of, list_images, subfolders

log = logging.getLogger(__name__)

SKIPPED = ("kos21", "Part7")  # by the authors as well: input_ksdd.py of mixed-segdec-net


def kolektor_sdd(
    root: str | Path,
    category: str = "kolektor_sdd",
    holdout: float = 0.5,
    **loading: Unpack[Public],
) -> AnomalyDataModule:
    """KolektorSDD, commutators. It has no split: `holdout` of the items, drawn, are tested on."""
    check_ranges(holdout=holdout)
    read = partial(read_kolektor_sdd, holdout=holdout, split_seed=loading.get("split_seed", 0))
    return public("kolektor_sdd", read, root, category, loading)


def kolektor_sdd2(
    root: str | Path, category: str = "kolektor_sdd2", **loading: Unpack[Public]
) -> AnomalyDataModule:
    """KolektorSDD2, a surface, in its own split."""
    return public("kolektor_sdd2", read_kolektor_sdd2, root, category, loading)


def read_kolektor_sdd(
    root: Path, category: str, holdout: float = 0.5, split_seed: int = 0
) -> Samples:
    """The layout `kos01/{Part0.jpg, Part0_label.bmp}`; `category` is a name for results.

    All images of an item (`kos01`) are trained on, or all are tested on, and are its views then.
    """
    place = unpacked(root, lambda folder: any(folder.glob("kos*")))
    items = [folder for folder in subfolders(place) if folder.name.startswith("kos")]
    if not items:
        raise FileNotFoundError(f"no item in {place}; expected kos01/Part0.jpg, Part0_label.bmp")
    pairs = [pairs_in(folder, "_label") for folder in items]
    held = set(draw(len(items), part=holdout, seed=split_seed))
    log.info("%d of %d items are held out for testing", len(held), len(items))
    marks = marking([mask for one in pairs for mask in one.values()])
    by_split: tuple[list[Sample], list[Sample]] = ([], [])
    for number, (folder, found) in enumerate(zip(items, pairs, strict=True)):
        for image, mask in found.items():
            if (folder.name, image.stem) != SKIPPED:
                one = by_mask(image, mask, marks, part=folder.name)
                by_split[number in held].append(one)
    return trained_on_good(*by_split)


def read_kolektor_sdd2(root: Path, category: str) -> Samples:
    """The layout `{train, test}/{10000.png, 10000_GT.png}`; `category` is a name for results."""
    place = unpacked(root, lambda folder: (folder / "train").is_dir())
    train, test = (pairs_in(place / split, "_GT") for split in ("train", "test"))
    marks = marking([*train.values(), *test.values()])
    return trained_on_good(
        *([by_mask(*pair, marks) for pair in split.items()] for split in (train, test))
    )


def pairs_in(folder: Path, ending: str) -> dict[Path, Path]:
    """Images with a mask `<stem><ending>.*` beside them, and that mask; others are told."""
    files = images_of(folder, expected=f"<stem>.* and <stem>{ending}.*")
    by_stem = {file.stem: file for file in files}
    pairs = {one: by_stem[one.stem + ending] for one in files if one.stem + ending in by_stem}
    if unused := [*{*list_images(folder)} - {*pairs, *pairs.values()}]:
        told = (len(unused), ending, min(unused))
        log.warning("not used: %d files without a partner <stem>%s, the first is %s", *told)
    return pairs


def by_mask(image: Path, mask: Path, marks: set[Path], *, part: str = "") -> Sample:
    """A defect where the mask is one of those that mark a pixel, else good."""
    return sample(image, DEFECT, [mask], part=part) if mask in marks else sample(image, part=part)

"""What the readers of the public data sets have in common: places, masks, what is left out."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rdad.data.samples import GOOD, Sample, Samples, is_image_name, named, subfolders

log = logging.getLogger(__name__)

DEFECT = "defect"  # where a data set names no types


def unpacked(root: Path, holds: Callable[[Path], bool]) -> Path:
    """`root`, or the one folder in it that an archive was unpacked into: whichever `holds`."""
    inside = [] if holds(root) else [folder for folder in subfolders(root) if holds(folder)]
    return inside[0] if len(inside) == 1 else root


def unpacked_categories(root: Path, holding: str) -> Path:
    """As `unpacked`: the folder of categories, each of which holds a file or folder `holding`."""
    return unpacked(root, lambda place: any((one / holding).exists() for one in subfolders(place)))


def sample(
    image: Path, defect_type: str = GOOD, masks: Sequence[Path] = (), *, part: str = ""
) -> Sample:
    """A sample that is named like its file; masks are those of a defect.

    Raises:
        ValueError: a file said the type, and results cannot be put in a folder of that name.
    """
    if defect_type in (".", "..") or "/" in defect_type or "\0" in defect_type:
        raise ValueError(f"a defect type is a folder's name, without /; found {defect_type!r}")
    first, *more = [*masks] or [None]
    return Sample(
        image=image,
        label=int(defect_type != GOOD),
        defect_type=defect_type,
        mask=first,
        name=image.stem,
        more_masks=tuple(path for path in more if path is not None),
        part=part,
    )


def trained_on_good(
    train: Sequence[Sample], test: Sequence[Sample], calibration: Sequence[Sample] = ()
) -> Samples:
    """Samples with names; defects among those that only good images may be are left out."""
    for split, images in (("training", train), ("validation", calibration)):
        told_left_out([one for one in images if one.label], f"defects among the {split} images")
    good = (named(one for one in images if not one.label) for images in (train, calibration))
    return Samples(next(good), named(test), next(good))


def told_left_out(samples: Sequence[Sample], reason: str) -> None:
    """Count in the log what a data set has and no one trains or tests on."""
    if samples:
        log.info("left out: %d %s, the first is %s", len(samples), reason, samples[0].image)


def told_unlabelled(folders: Sequence[Path]) -> None:
    """Count in the log the images of private tests, whose labels only their authors know."""
    for folder in filter(Path.is_dir, folders):
        count = sum(map(is_image_name, folder.rglob("*")))
        log.info("not tested on, as it has no labels: %s with %d images", folder, count)

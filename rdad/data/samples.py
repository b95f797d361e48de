"""What is known of an image before it is opened: label, defect type, mask, name."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rdad.data.listing import list_images

log = logging.getLogger(__name__)

GOOD = "good"


@dataclass(frozen=True)
class Sample:
    """One image and what is known of it.

    `label` is 0 for normal and 1 for anomalous; `defect_type` is "good" for normal images.
    `name` is unique within a split and defect type, letter case ignored: it names artifacts.
    """

    image: Path
    label: int
    defect_type: str
    mask: Path | None
    name: str


@dataclass(frozen=True)
class Samples:
    """What a reader returns: normal images to train on, and images of both kinds to test on."""

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]


def labelled(images: Sequence[Path], defect_type: str, masks: Path | None = None) -> list[Sample]:
    """Samples of one type; masks are found by name in the folder `masks`, which may be missing."""
    files = list_images(masks) if masks is not None and masks.is_dir() else []
    by_stem = {path.stem: path for path in reversed(files)}
    _warn_of_lone_masks(files, images)
    return [
        Sample(
            image=image,
            label=int(defect_type != GOOD),
            defect_type=defect_type,
            mask=by_stem.get(f"{image.stem}_mask", by_stem.get(image.stem)),
            name=image.stem,
        )
        for image in images
    ]


def _warn_of_lone_masks(masks: Sequence[Path], images: Sequence[Path]) -> None:
    stems = {stem for image in images for stem in (image.stem, f"{image.stem}_mask")}
    lone = [mask for mask in masks if mask.stem not in stems]
    if lone:
        log.warning("%d masks have no image, the first is %s", len(lone), lone[0])


def named(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples with names made unique within their type: 000, then 000_2, 000_3 ..."""
    taken: set[tuple[str, str]] = set()
    unique = []
    for sample in samples:
        name, count = sample.name, 1
        while (sample.defect_type, name.casefold()) in taken:
            count += 1
            name = f"{sample.name}_{count}"
        taken.add((sample.defect_type, name.casefold()))
        unique.append(replace(sample, name=name))
    return tuple(unique)


def check_masks(samples: Sequence[Sample], folders: Sequence[Path]) -> None:
    """Mask folders without a single mask that fits are a mistake in their place or naming."""
    defective = [sample for sample in samples if sample.label]
    if folders and defective and not any(sample.mask for sample in defective):
        first = defective[0]
        raise FileNotFoundError(
            f"none of {len(defective)} defective images has a mask in "
            f"{', '.join(map(str, folders))}; expected for {first.image}: "
            f"{first.defect_type}/{first.image.stem}_mask.png"
        )

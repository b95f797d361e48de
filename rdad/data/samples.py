"""What is known of images before they are opened: where they lie, label, mask, name."""

import difflib
import logging
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TypeVar

from rdad.data.depth import FULL
from rdad.runs.files import resolved
from rdad.runs.names import as_text, expanded, nfc, on_disk

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp"),
    *(".gif", ".jp2", ".pgm", ".ppm"),
)
MASK_ENDINGS = ("_mask", "-mask", "_gt", "_label")  # in any letter case
GOOD = "good"
OF_DISKS = ("lost+found", "System Volume Information", "$RECYCLE.BIN")  # in their top folders
MOST_NAMED = 8  # folders
LONGEST_NAME_BYTES = 200  # file systems allow 255, with endings; MLflow 250 for a metric's name

Folder = str | PathLike[str]
T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """One image and what is known of it.

    `label` is 0 for normal and 1 for anomalous; `defect_type` is "good" for normal images.
    `name` is unique within a split and defect type, letter case ignored: it names artifacts.
    Where a defect has several mask files, what any of them marks is defect. Images with the same
    `part`, if it is not empty, are views of one item, which is scored by its worst view. `bits`,
    which the data module sets, is how many of its bits a 16-bit grey file uses. `category` is empty
    but where several are trained on together: `name` and `defect_type` are then its own.
    """

    image: Path
    label: int
    defect_type: str
    mask: Path | None
    name: str
    more_masks: tuple[Path, ...] = ()
    part: str = ""
    bits: int = FULL
    category: str = ""

    @property
    def masks(self) -> tuple[Path, ...]:
        """All mask files: `mask` and `more_masks`."""
        return () if self.mask is None else (self.mask, *self.more_masks)


@dataclass(frozen=True)
class Samples:
    """What a reader returns: normal images to train on, and images of both kinds to test on.

    `calibration` are the normal images that a data set itself sets aside for thresholds.
    """

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    calibration: tuple[Sample, ...] = ()

    @property
    def splits(self) -> tuple[tuple[Sample, ...], ...]:
        """Training and test images, and those for thresholds where there are any."""
        return (self.train, self.test, *([self.calibration] if self.calibration else []))

    def of_bits(self, bits: int) -> "Samples":
        """The same, all of so many bits."""
        return Samples(*(tuple(replace(one, bits=bits) for one in part) for part in self.splits))


def defect_types_of(samples: Iterable[Sample]) -> tuple[str, ...]:
    """The types of the anomalous samples, sorted."""
    return tuple(sorted({one.defect_type for one in samples if one.label}))


def labelled(images: Sequence[Path], defect_type: str, masks: Path | None = None) -> list[Sample]:
    """Samples of one type; masks are found by name in the folder `masks`, which may be missing.

    The folder may be that of the images, none of which is then a mask.
    """
    files = list_images(masks) if masks is not None and masks.is_dir() else []
    taken = {resolved(image) for image in images}
    files = [file for file in files if resolved(file) not in taken]
    by_stem = masks_by_stem(files)
    stems = {nfc(image.stem) for image in images}
    lone = [file for file in files if not {nfc(file.stem), masked_stem(file)} & stems]
    if lone:
        log.warning("%d masks have no image, the first is %s", len(lone), lone[0])
    return [
        Sample(
            image=image,
            label=int(defect_type != GOOD),
            defect_type=defect_type,
            mask=mask_named(image, by_stem),
            name=image.stem,
        )
        for image in images
    ]


def masks_by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Mask files by their stems, and by those of the images that they are named for."""
    owned = {masked_stem(file) or "": file for file in reversed(files)}
    return owned | {nfc(file.stem): file for file in reversed(files)}


def mask_named(image: Path, by_stem: Mapping[str, Path]) -> Path | None:
    """The mask of an image among `masks_by_stem`: `<stem>_mask`, or one of the stem itself."""
    return by_stem.get(f"{nfc(image.stem)}_mask", by_stem.get(nfc(image.stem)))


def masked_stem(path: Path) -> str | None:
    """The stem of the image that a name like `<stem>_mask` says it masks; None for other names.

    It is given as `nfc` makes it.
    """
    for ending in MASK_ENDINGS:
        if path.stem.lower().endswith(ending):
            return nfc(path.stem[: -len(ending)])
    return None


def named(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples with names made unique within their type: 000, then 000_2, 000_3 ...

    Types whose names are no text, or too long, get others, and stay apart.
    """
    samples = tuple(samples)
    types = dict.fromkeys(sample.defect_type for sample in samples)
    usable = {nfc(name).casefold() for name in types if fitting(name) == name}
    kinds = {name: name if fitting(name) == name else distinct(name, usable) for name in types}
    taken: defaultdict[str, set[str]] = defaultdict(set)
    return tuple(
        replace(sample, name=distinct(sample.name, taken[kind]), defect_type=kind)
        for sample in samples
        for kind in [kinds[sample.defect_type]]
    )


def fitting(name: str) -> str:
    """The name as text that a file's name, with an ending, can be.

    Bytes that are no UTF-8 become _; each part between slashes has at most 200 bytes.
    """
    whole = (part.encode() for part in as_text(name).split("/"))
    parts = (part[:LONGEST_NAME_BYTES].decode(errors="ignore") for part in whole)
    return "/".join(parts)


def distinct(name: str, taken: set[str]) -> str:
    """A `fitting` name, or name_2, name_3 ..., whichever is not taken, letter case ignored.

    Now it is taken. All files and folders that are named for images get their names here.
    """
    name = fitting(name)
    stem, count = name, 1
    while nfc(name).casefold() in taken:
        count += 1
        name = f"{stem}_{count}"
    taken.add(nfc(name).casefold())
    return name


def check_masks(
    samples: Sequence[Sample], folders: Sequence[Path], *, named: str = "{type}/{stem}_mask.png"
) -> None:
    """Mask folders without a single mask that fits are a mistake in their place or naming.

    Args:
        named: The mask of a defect's type and its image's stem.
    """
    defective = [sample for sample in samples if sample.label]
    if folders and defective and not any(sample.mask for sample in defective):
        first = defective[0]
        raise FileNotFoundError(
            f"none of {len(defective)} defective images has a mask in "
            f"{', '.join(map(str, folders))}; expected for {first.image}: "
            + named.format(type=first.defect_type, stem=first.image.stem)
        )


def existing_folder(path: Folder) -> Path:
    """`path` as the disk has it, ~ expanded. Raises FileNotFoundError if it is no folder."""
    folder = on_disk(expanded(path))
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.exists() else "does not exist"
        said = f"folder {folder} {found} (absolute: {folder.absolute()})"
        raise FileNotFoundError(said + _beside(folder))
    return folder


def _beside(missing: Path) -> str:
    """The folder that may have been meant; of few all."""
    try:
        there = sorted(one.name for one in missing.parent.iterdir() if one.is_dir())
    except OSError:
        return ""
    if near := difflib.get_close_matches(missing.name, there, n=1):
        return f"; did you mean {missing.parent / near[0]}?"
    return f"; {missing.parent} has {', '.join(there)}" if 0 < len(there) <= MOST_NAMED else ""


def folders_under(
    base: Path, folders: Folder | int | Sequence[Folder | int] | None, *, or_files: bool = False
) -> list[Path]:
    """No folder, one or several as existing paths, relative ones under `base`; a number is a name.

    With `or_files` also files, relative ones under `base` or else from the current folder.
    """
    if folders is None:
        return []
    listed = [folders] if isinstance(folders, str | PathLike | int) else list(folders)
    names = [str(one) if isinstance(one, int) else one for one in listed]
    paths = []
    for path in map(expanded, names):
        files = [one for one in (on_disk(base / path), path) if or_files and one.is_file()]
        paths.append(files[0] if files else existing_folder(base / path))
    return paths


def list_images(folder: Path) -> list[Path]:
    """Entries of `folder` named like images, sorted; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if is_image_name(path))


def images_of(folder: Path, *, expected: str = "image files in it") -> list[Path]:
    """As `list_images`, but FileNotFoundError where there is none."""
    folder = existing_folder(folder)
    images = list_images(folder)
    if images:
        return images
    deeper = [sub.name for sub in subfolders(folder) if list_images(sub)]
    hint = f" (but in its subfolders {', '.join(deeper)}: name those)" if deeper else ""
    raise FileNotFoundError(
        f"no images in {folder}{hint}; expected {expected}, ending in {', '.join(IMAGE_SUFFIXES)}"
    )


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted, less hidden ones, a disk's own, and those named like images."""
    return sorted(
        path
        for path in folder.iterdir()
        if not (path.name.startswith(".") or path.name in OF_DISKS or is_image_name(path))
        and path.is_dir()
    )


def folders_below(folder: Path, left_out: Collection[Path] = ()) -> Iterator[Path]:
    """The folder and all below it, each before those in it, sorted.

    Links that lead back up are not followed, nor is anything in `left_out`, resolved, entered.
    """
    return _below(folder, (resolved(folder),), left_out)


def _below(folder: Path, above: tuple[Path, ...], left_out: Collection[Path]) -> Iterator[Path]:
    yield folder
    for subfolder in subfolders(folder):
        place = resolved(subfolder)
        if place not in above and place not in left_out:
            yield from _below(subfolder, (*above, place), left_out)


def draw(total: int, *, part: float, seed: int) -> list[int]:
    """Sorted indices below `total`: a seeded part, at least one and never all of them.

    Only `random()` of a seeded Random is the same in every Python, so nothing else is used.
    """
    count = min(max(round(total * part), 1), total - 1) if part > 0 else 0
    generator = random.Random(seed)
    keys = [generator.random() for _ in range(total)]
    return sorted(sorted(range(total), key=keys.__getitem__)[: max(count, 0)])


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """At most so many, evenly apart, the first and the last among them; None is all."""
    if most is None or most >= len(items):
        return list(items)
    step = (len(items) - 1) / max(most - 1, 1)
    return [items[round(number * step)] for number in range(most)]


def is_image_name(path: Path) -> bool:
    """Whether a name ends as image files do; hidden files are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")

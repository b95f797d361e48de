"""What lies in the folders that are read and is not taken: told once, with counts."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from rdad.data.samples import is_image_name, list_images, masked_stem, subfolders
from rdad.runs.files import resolved
from rdad.runs.names import nfc

log = logging.getLogger(__name__)

SHOWN = 10  # places in one line
IN_SUBFOLDER = "in its subfolder"


def without_masks(images: Sequence[Path]) -> list[Path]:
    """The images of one folder but those named as the mask of another of them."""
    stems = {nfc(image.stem) for image in images}
    return [image for image in images if masked_stem(image) not in stems]


def warn_of_masks(read: Iterable[Path]) -> None:
    """Say how many files of these folders are no images as they are named like masks."""
    masks: list[Path] = []
    for folder in dict.fromkeys(read):
        images = list_images(folder)
        masks += sorted({*images} - {*without_masks(images)})
    if masks:
        log.warning(
            "%d files are named like masks of the images beside them and are not taken as images, "
            "the first is %s",
            *(len(masks), masks[0]),
        )


def warn_of_unused(read: Iterable[Path], used: Iterable[Path] = (), *, hint: str = "") -> None:
    """Name what is in the folders `read`, and in no folder of `used`, and was not taken.

    Args:
        hint: What is said where images in subfolders were not taken.
    """
    folders = list(dict.fromkeys(read))
    entered = [resolved(folder) for folder in [*folders, *used]]
    inside = {place for one in entered for place in (one, *one.parents)}
    places = [place for folder in folders for place in _unused(folder, inside)]
    if places:
        more = [f"and more in {len(places) - SHOWN} places"] if len(places) > SHOWN else []
        hints = hint if any(IN_SUBFOLDER in place for place in places) else ""
        log.warning("not used: %s%s", "; ".join([*places[:SHOWN], *more]), hints)


def _unused(folder: Path, inside: Collection[Path]) -> Iterator[str]:
    """Other files by their ending, and images in subfolders that are not read either."""
    files = [path for path in folder.iterdir() if not is_image_name(path) and path.is_file()]
    endings = Counter(path.suffix.lower() for path in files if not path.name.startswith("."))
    for ending, count in sorted(endings.items()):
        name = f"that end in {ending}" if ending else "without an ending"
        yield f"{_counted(count, 'file')} in {folder} {name}"
    for sub in subfolders(folder):
        if resolved(sub) not in inside:
            count = sum(map(is_image_name, sub.rglob("*")))
            if count:
                yield f"{_counted(count, 'image')} {IN_SUBFOLDER} {sub}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

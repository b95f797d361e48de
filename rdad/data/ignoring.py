"""What `dataset.ignore` names: the masks of where to look, found, read and fitted to images."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdad.data.decoded import Decoded
from rdad.data.framing import WHOLE, Framing
from rdad.data.images import DataError, as_rgb, decode_mask, read_bytes
from rdad.data.in_order import in_order
from rdad.data.masks import marked
from rdad.data.ranges import Ignore, Resize
from rdad.data.samples import Sample, list_images, mask_named, masks_by_stem
from rdad.data.tiling import Size
from rdad.runs.files import resolved
from rdad.runs.names import expanded

log = logging.getLogger(__name__)


def framing_of(resize: Resize, ignore: Ignore, size: Size) -> Framing:
    """What the settings say of images for a network that sees (height, width) `size`.

    Args:
        ignore: A rectangle; the file of a mask for all images; or a folder with one for each.

    Raises:
        FileNotFoundError: there is no such file or folder.
        DataError: the mask cannot be used.
    """
    letterbox = resize == "letterbox"
    if not isinstance(ignore, str | Path):
        return Framing(letterbox, None if ignore is None else tuple(ignore))
    path = existing(ignore)
    if path.is_dir():
        return Framing(letterbox, each=True)
    try:
        return Framing.of_mask(read_mask(path), size, letterbox=letterbox)
    except DataError:
        raise
    except ValueError as error:
        raise DataError([f"{path}: {error}"]) from error


def existing(ignore: str | Path) -> Path:
    """Raises FileNotFoundError where nothing is at that path."""
    path = expanded(ignore)
    if not path.exists():
        raise FileNotFoundError(f"ignore: there is no file or folder {path}")
    return path


def read_mask(path: Path) -> Image.Image:
    """A mask in grey, looked at above 127; errors as of `rdad.data.images.decode_mask`."""
    return decode_mask(read_bytes(path), path)


def as_mask(mask: str | Path | Image.Image | NDArray[Any]) -> Image.Image:
    """What a program holds or names, as `read_mask`; of pixels all that is not black is looked at.

    Raises:
        DataError: it cannot be used.
    """
    if isinstance(mask, str | Path):
        return read_mask(Path(mask))
    values = mask * np.uint8(255) if isinstance(mask, np.ndarray) and mask.dtype == bool else mask
    return Image.fromarray(marked(np.asarray(as_rgb(values).convert("L")), lossy=False)[0])


def find_masks(folder: Path, images: Sequence[Path]) -> list[Path]:
    """The mask of each image, by its name as those of defects are; no image is one.

    It is looked for in the subfolder that ends as the image's folder does, the longest such first
    (train/good), and in `folder` itself last.

    Raises:
        DataError: lists the images without a mask, and those that would share one.
    """
    taken = {resolved(image) for image in images}

    @cache
    def masks_in(place: Path) -> dict[str, Path]:
        files = list_images(place) if place.is_dir() else []
        return masks_by_stem([file for file in files if resolved(file) not in taken])

    def mask_of(image: Path) -> Path | None:
        parents = Path(os.path.normpath(image.absolute())).parent.parts[1:]
        places = (folder.joinpath(*parents[first:]) for first in range(len(parents) + 1))
        return next(filter(None, (mask_named(image, masks_in(one)) for one in places)), None)

    found = {image: mask_of(image) for image in images}
    owners: dict[Path, Path] = {}
    problems = []
    for image, mask in found.items():
        if mask is None:
            problems.append(f"{image}: no mask of what to look at in {folder}, as {image.stem}.png")
        elif (other := owners.setdefault(mask, image)) != image:
            problems.append(f"{mask}: fits {image} and {other}; subfolders like theirs tell them")
    if problems:
        raise DataError(problems)
    return [mask for mask in map(found.__getitem__, images) if mask is not None]


def looked_at(
    decoded: Sequence[Decoded],
    splits: Sequence[Sequence[Sample]],
    size: Size,
    framing: Framing,
    ignore: Ignore,
) -> list[Decoded]:
    """The decoded images of all splits with the pixels that count; as they are where all do.

    Args:
        size: (height, width) of the images.
        ignore: The folder of the masks, where each image has one.

    Raises:
        DataError: lists the images that the framing or their masks do not fit.
    """
    if framing == WHOLE:
        return [*decoded]
    images = [sample.image for part in splits for sample in part]
    sizes = [one for part in decoded for one in part.sizes]
    masks = _masks_of(images, ignore) if framing.each else None
    valid = iter(_valid_pixels(framing, images, sizes, size, masks))
    framed = [replace(part, valid=list(islice(valid, len(part.sizes)))) for part in decoded]
    _tell(framed)
    return framed


def _masks_of(images: Sequence[Path], ignore: Ignore) -> list[Path]:
    if not isinstance(ignore, str | Path):
        raise ValueError(
            "this network needs a mask of what to look at for each image; name their folder by "
            "dataset.ignore"
        )
    return find_masks(existing(ignore), images)


def _tell(framed: Sequence[Decoded]) -> None:
    """How much is ignored, and how many defects are with it."""
    shares = [one.mean() for part in framed for one in part.valid or ()]
    log.info("%.1f %% of the pixels are ignored", 100 * (1 - float(np.mean(shares))))
    lost = [
        (mask[valid].any(), mask.any())
        for part in framed
        for mask, valid in zip(part.masks, part.valid or (), strict=True)
    ]
    count = sum(whole and not seen for seen, whole in lost)
    if count:
        log.warning(
            "%d of %d defects lie where nothing is looked at: their images stay defective, and can "
            "hardly be found",
            *(count, sum(whole for _, whole in lost)),
        )


def _valid_pixels(
    framing: Framing,
    images: Sequence[Path],
    sizes: Sequence[Size],
    size: Size,
    masks: Sequence[Path] | None,
) -> list[NDArray[np.bool_]]:
    """`Framing.valid` of each image; those of one size share theirs where no image has its own.

    Args:
        sizes: (height, width) of the images.
        masks: One an image, where the framing asks for that.

    Raises:
        DataError: lists what does not fit.
    """
    attempt = partial(_attempt, framing, size)
    found: Iterator[NDArray[np.bool_] | str] = map(cache(attempt), sizes)
    if masks is not None:
        found = in_order(lambda one: attempt(*one), zip(sizes, masks, strict=True))
    valid, problems = [], []
    for image, one in zip(images, found, strict=True):
        if isinstance(one, str):
            problems.append(f"{image}: {one}")
        else:
            valid.append(one)
    if problems:
        raise DataError(problems)
    return valid


def _attempt(
    framing: Framing, size: Size, image_size: Size, mask: Path | None = None
) -> NDArray[np.bool_] | str:
    """The valid pixels, or why there are none."""
    try:
        valid = framing.valid(image_size, size, None if mask is None else read_mask(mask))
    except ValueError as error:
        return "; ".join(error.problems) if isinstance(error, DataError) else str(error)
    return np.ones(size, np.bool_) if valid is None else valid

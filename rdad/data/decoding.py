"""All files of all samples opened, checked and decoded, in threads; problems are collected."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from rdad.data.facts import NOTHING, Facts
from rdad.data.framing import WHOLE, Framing
from rdad.data.images import (
    DataError,
    decode_classes,
    decode_mask,
    decode_with_facts,
    read_bytes,
)
from rdad.data.in_order import in_order
from rdad.data.limit import pixels_said
from rdad.data.samples import Sample

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pixels(NamedTuple):
    """One sample decoded: image (H, W, 3), mask (H, W), or (0, 0) if it has none, the number of
    classes in it, (height, width) on disk, facts of the image's file and of the mask's.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    classes: int
    original: tuple[int, int]
    facts: tuple[Facts, Facts]


def files_of(sample: Sample) -> list[Path]:
    """The image, and the masks where there are any."""
    return [sample.image, *sample.masks]


def digest_files(samples: Sequence[Sample]) -> dict[Path, str]:
    """SHA-256 of every image and mask file.

    Raises:
        DataError: a file cannot be read, or a sample has a mask too many, or too few where others
            of its category have one. Then the other files are decoded as well, so that one message
            names everything.
    """
    masked = {sample.category for sample in samples if sample.mask}
    problems = [
        problem for sample in samples for problem in _mismatch(sample, sample.category in masked)
    ]
    files = dict.fromkeys(path for sample in samples for path in files_of(sample))
    digests = dict(_usable(lambda path: (path, _digest(read_bytes(path))), files, problems))
    if problems:
        readable = [sample for sample in samples if digests.keys() >= {*files_of(sample)}]
        for _ in _usable(lambda sample: _open(sample, digests), readable, problems, _pixels):
            pass
        raise DataError(problems)
    return digests


def decode_samples(
    samples: Sequence[Sample],
    digests: dict[Path, str],
    size: tuple[int, int] | None,
    framing: Framing = WHOLE,
) -> Iterator[Pixels]:
    """The samples in turn at `size` (height, width), or each at its own; a few are held at a time.

    Args:
        framing: How they come to that size.

    Raises:
        DataError: after the last sample, lists every file that is no image, is damaged, does not
            fit its partner, or is not what `digests` says any more. Nothing is given after the
            first of them.
    """

    def decode(sample: Sample) -> Pixels:
        image, mask, classes, facts = _open(sample, digests)
        original = (image.height, image.width)
        target = size or original
        marked = np.zeros((0, 0), np.bool_) if mask is None else framing.fit_mask(mask, target)
        return Pixels(framing.fit_image(image, target), marked, classes, original, facts)

    problems: list[str] = []
    for pixels in _usable(decode, samples, problems, _pixels):
        if not problems:
            yield pixels
    if problems:
        raise DataError(problems)


def _mismatch(sample: Sample, masks_expected: bool) -> Iterator[str]:
    if sample.label == 0 and sample.mask is not None:
        yield f"{sample.mask}: a mask, but {sample.image} is a normal image"
    if sample.label == 1 and sample.mask is None and masks_expected:
        yield f"{sample.image}: no mask for this defect ({sample.defect_type})"


def _open(
    sample: Sample, digests: dict[Path, str]
) -> tuple[Image.Image, Image.Image | None, int, tuple[Facts, Facts]]:
    content = _content(sample.image, digests)
    image, facts = decode_with_facts(content, sample.image, bits=sample.bits)
    marked = decode_union(sample, lambda path: _content(path, digests))
    if marked is None:
        return image, None, 0, (facts, NOTHING)
    mask, classes, of_mask = marked
    if mask.size != image.size:
        sizes = [f"{one.width} x {one.height}" for one in (mask, image)]
        raise DataError([f"{sample.mask}: {sizes[0]} pixels, but {sample.image} has {sizes[1]}"])
    if np.asarray(mask).max() == 0:
        raise DataError([f"{sample.mask}: empty mask, no pixel is marked"])
    return image, mask, classes, (facts, of_mask._replace(brightest=0, dark_colours=False))


def decode_union(
    sample: Sample, read: Callable[[Path], bytes] = read_bytes
) -> tuple[Image.Image, int, Facts] | None:
    """What any of a sample's masks marks, as `decode_classes`; None where it has no mask.

    Args:
        read: The content of a file.

    Raises:
        DataError: a mask cannot be used, or differs in size from the first.
    """
    parts = [(path, *decode_classes(read(path), path)) for path in sample.masks]
    if not parts:
        return None
    (first, union, most, facts), *others = parts
    for path, mask, classes, more in others:
        if mask.size != union.size:
            sizes = [f"{one.width} x {one.height}" for one in (mask, union)]
            raise DataError([f"{path}: {sizes[0]} pixels, but {first} has {sizes[1]}"])
        union, most = ImageChops.lighter(union, mask), max(most, classes)
        facts = facts._replace(turned=facts.turned or more.turned, paged=facts.paged or more.paged)
    return union, most, facts


def marking(masks: Iterable[Path]) -> set[Path]:
    """Those of the mask files that mark a pixel; all are opened.

    Raises:
        DataError: lists those that cannot be read.
    """

    def opened(path: Path) -> tuple[Path, bool]:
        return path, bool(np.asarray(decode_mask(read_bytes(path), path)).any())

    problems: list[str] = []
    found = {path for path, marks in _usable(opened, masks, problems, pixels_said) if marks}
    if problems:
        raise DataError(problems)
    return found


def _pixels(sample: Sample) -> int:
    return pixels_said(sample.image)


def _content(path: Path, digests: dict[Path, str]) -> bytes:
    content = read_bytes(path)
    if _digest(content) != digests[path]:
        raise DataError([f"{path}: changed while it was being read"])
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _usable(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    problems: list[str],
    pixels: Callable[[Item], int] | None = None,
) -> Iterator[Result]:
    """The results in turn; what DataErrors say of the other items is added to `problems`."""

    def attempt(item: Item) -> Result | DataError:
        try:
            return function(item)
        except DataError as error:
            return error

    for result in in_order(attempt, items, pixels=pixels):
        if isinstance(result, DataError):
            problems += result.problems
        else:
            yield result

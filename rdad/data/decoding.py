"""All files of all samples opened, checked and decoded, in threads; problems are collected."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdad.data.images import (
    DataError,
    decode_image,
    decode_mask,
    read_bytes,
    resize_image,
    resize_mask,
)
from rdad.data.samples import Sample

MAX_THREADS = 16
WHOLE_AT_ONCE = 16  # images of any size, decoded and not yet taken

Item = TypeVar("Item")
Result = TypeVar("Result")


def files_of(sample: Sample) -> list[Path]:
    """The image, and the mask where there is one."""
    return [sample.image] if sample.mask is None else [sample.image, sample.mask]


def digest_files(samples: Sequence[Sample]) -> dict[Path, str]:
    """SHA-256 of every image and mask file.

    Raises:
        DataError: a file cannot be read, or a sample has a mask too few or too many. Then the
            other files are decoded as well, so that one message names everything.
    """
    expected = any(sample.mask for sample in samples)
    problems = [problem for sample in samples for problem in _mismatch(sample, expected)]
    files = list(dict.fromkeys(path for sample in samples for path in files_of(sample)))
    results = _in_threads(_digest, files)
    problems += _problems(results)
    digests = {
        path: digest for path, digest in zip(files, results, strict=True) if isinstance(digest, str)
    }
    if problems:
        readable = [sample for sample in samples if all(f in digests for f in files_of(sample))]
        problems += _problems(_in_threads(lambda sample: _open(sample, digests), readable))
        raise DataError(problems)
    return digests


def decode_samples(
    samples: Sequence[Sample], digests: dict[Path, str], size: tuple[int, int]
) -> list[NDArray[Any]]:
    """Images uint8 (N, H, W, 3), masks bool (M, H, W) of the M samples that have one, and
    original sizes int64 (N, 2) as (height, width).

    Raises:
        DataError: lists every file that is no image, is damaged, does not fit its partner, or
            is not what `digests` says any more.
    """
    images = np.empty((len(samples), *size, 3), np.uint8)

    def decode(index: int) -> tuple[tuple[int, int], NDArray[np.bool_] | None]:
        image, mask = _open(samples[index], digests)
        images[index] = resize_image(image, size)
        return (image.height, image.width), None if mask is None else resize_mask(mask, size)

    results = _in_threads(decode, range(len(samples)))
    if problems := _problems(results):
        raise DataError(problems)
    pairs = [result for result in results if not isinstance(result, DataError)]
    masks = [mask for _, mask in pairs if mask is not None]
    sizes = np.array([original for original, _ in pairs], np.int64).reshape(-1, 2)
    return [images, np.stack(masks) if masks else np.empty((0, *size), np.bool_), sizes]


def decode_whole(
    samples: Sequence[Sample], digests: dict[Path, str]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_] | None]]:
    """Image (H, W, 3) and mask (H, W) of each sample in turn, at their own size.

    Raises:
        DataError: as `decode_samples`, after the last sample; nothing is given after the first bad.
    """
    problems: list[str] = []
    for start in range(0, len(samples), WHOLE_AT_ONCE):
        results = _in_threads(
            lambda sample: _open(sample, digests), samples[start : start + WHOLE_AT_ONCE]
        )
        problems += _problems(results)
        for result in results:
            if not problems and not isinstance(result, DataError):
                image, mask = result
                yield np.asarray(image), None if mask is None else np.asarray(mask) > 127
    if problems:
        raise DataError(problems)


def _mismatch(sample: Sample, masks_expected: bool) -> Iterator[str]:
    if sample.label == 0 and sample.mask is not None:
        yield f"{sample.mask}: a mask, but {sample.image} is a normal image"
    if sample.label == 1 and sample.mask is None and masks_expected:
        yield f"{sample.image}: no mask for this defect ({sample.defect_type})"


def _open(sample: Sample, digests: dict[Path, str]) -> tuple[Image.Image, Image.Image | None]:
    image = decode_image(_content(sample.image, digests), sample.image)
    if sample.mask is None:
        return image, None
    mask = decode_mask(_content(sample.mask, digests), sample.mask)
    if mask.size != image.size:
        sizes = [f"{one.width} x {one.height}" for one in (mask, image)]
        raise DataError([f"{sample.mask}: {sizes[0]} pixels, but {sample.image} has {sizes[1]}"])
    if np.asarray(mask).max() == 0:
        raise DataError([f"{sample.mask}: empty mask, no pixel is marked"])
    return image, mask


def _digest(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _content(path: Path, digests: dict[Path, str]) -> bytes:
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != digests[path]:
        raise DataError([f"{path}: changed while it was being read"])
    return content


def _in_threads(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result | DataError]:
    """The function's result for each item, or the DataError that it raised."""

    def attempt(item: Item) -> Result | DataError:
        try:
            return function(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        return list(pool.map(attempt, items))


def _problems(results: Iterable[object]) -> list[str]:
    errors = [result for result in results if isinstance(result, DataError)]
    return [problem for error in errors for problem in error.problems]

"""Decoded images, made once: from the disk where they are known, else decoded and kept there."""

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from rdad.data.decoding import decode_samples, digest_files, files_of
from rdad.data.depth import FULL, Bits, bits_used
from rdad.data.facts import Facts, Seen
from rdad.data.framing import PADDING, WHOLE, Framing
from rdad.data.images import DataError
from rdad.data.samples import Sample, Samples
from rdad.data.store import LIMIT_BYTES, ArrayStore, default_cache_dir, lock
from rdad.data.tiling import Size

log = logging.getLogger(__name__)

DECODER_VERSION = 7  # to be raised when the same file would give another entry


@dataclass(frozen=True)
class Decoded:
    """Pixels of N samples, in their order, read-only.

    images: uint8 (N, H, W, 3), RGB; of images at their own sizes N arrays (H, W, 3).
    masks: bool (N, H, W), or N arrays (H, W); all False where a sample has no mask.
    sizes: Original (height, width) of each image.
    digests: SHA-256 of each image file.
    classes: How many levels of each mask were taken for classes; 0 for a soft mask, or none.
    facts: Of each file, masks among them.
    valid: bool (H, W) for each image, False at pixels that are ignored; None where all count.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    sizes: tuple[Size, ...]
    digests: tuple[str, ...]
    classes: tuple[int, ...] = ()
    facts: tuple[tuple[Path, Facts], ...] = ()
    valid: Sequence[NDArray[np.bool_]] | None = None

    def batch(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Images (B, H, W, 3) and masks (B, H, W) of samples of one size, copied."""
        return (
            np.stack([self.images[row] for row in rows]),
            np.stack([self.masks[row] for row in rows]),
        )

    def digest_of(self, rows: Sequence[int], how: str) -> str:
        """SHA-256 of these images' files, of what of them counts, and of how they are read."""
        contents = "".join(self.digests[row] for row in rows) + how
        if self.valid is not None:
            packed = b"".join(np.packbits(self.valid[row]).tobytes() for row in rows)
            contents += f" looked at {hashlib.sha256(packed).hexdigest()}"
        return hashlib.sha256(contents.encode()).hexdigest()


def decode_splits(
    samples: Samples,
    size: Size | None,
    cache_dir: Path | None,
    bits: Bits,
    framing: Framing = WHOLE,
) -> tuple[Samples, list[Decoded]]:
    """Training and test images, and the set's own for calibration if it has any, as `decode`.

    With them come the samples with the bits that they were read with.

    Args:
        bits: How many of its bits a 16-bit grey file uses; `auto`: as many as the brightest of all
            these files needs.
        framing: How they come to `size`; `rdad.data.ignoring` adds which pixels then count.

    Raises:
        DataError: lists the files of all that cannot be used.
    """
    samples = samples.of_bits(FULL if bits == "auto" else bits)
    decoded = _each(samples, size, cache_dir, framing)
    if bits == "auto" and (used := _bits_found(decoded)) < FULL:
        samples = samples.of_bits(used)
        decoded = _each(samples, size, cache_dir, framing)
    seen = Seen(samples.train[0].bits)
    for part, of_part in zip(samples.splits, decoded, strict=True):
        _warn_of_masks(part, of_part)
        for path, facts in of_part.facts:
            seen.add(path, facts)
    seen.tell()
    return samples, decoded


def _each(
    samples: Samples, size: Size | None, cache_dir: Path | None, framing: Framing
) -> list[Decoded]:
    decoded: list[Decoded] = []
    problems: list[str] = []
    for part in samples.splits:
        try:
            decoded.append(_decode(part, size, cache_dir, framing=framing))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return decoded


def _bits_found(decoded: Sequence[Decoded]) -> int:
    """As `bits_used`, of all 16-bit grey images, and a line of what was found."""
    found = [one.brightest for part in decoded for _, one in part.facts if one.brightest]
    used = bits_used(found)
    if used < FULL:
        log.info(
            "all %d images of 16 bits stay at or below %d, so they are read as of %d bits "
            "(dataset.bits=auto)",
            *(len(found), max(found), used),
        )
    return used


def decode(
    samples: Sequence[Sample],
    image_size: Size | None,
    cache_dir: Path | None = None,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> Decoded:
    """Images and masks at `image_size` (height, width), or each at its own size.

    They come memory-mapped from the cache, which knows images by their content, so a file that
    changed is decoded anew. Where the cache cannot be written, a warning says so.

    Raises:
        DataError: lists every file that is unreadable, missing or does not fit its partner.
    """
    decoded = _decode(samples, image_size, cache_dir, limit_bytes)
    _warn_of_masks(samples, decoded)
    return decoded


def _decode(
    samples: Sequence[Sample],
    image_size: Size | None,
    cache_dir: Path | None,
    limit_bytes: int = LIMIT_BYTES,
    framing: Framing = WHOLE,
) -> Decoded:
    digests = digest_files(samples)
    folder = (cache_dir or default_cache_dir()) / "decoded"
    store = ArrayStore(folder, limit_bytes=limit_bytes)
    key = _key(samples, digests, image_size, framing)
    make = partial(_arrays, samples, digests, image_size, framing)
    arrays = store.load(key)
    if arrays is None:
        with lock(store.path(key).with_suffix(".lock")):
            arrays = store.load(key) or _saved(store, key, make)
    *pixels, sizes, classes, facts = arrays
    images: Any = pixels[::2]
    masks: Any = [
        mask if mask.size else np.broadcast_to(np.False_, image.shape[:-1])
        for image, mask in zip(images, pixels[1::2], strict=True)
    ]
    if image_size is not None:
        (images,), (masks,) = images, masks
    original_sizes = tuple((int(height), int(width)) for height, width in sizes)
    of_images = tuple(digests[sample.image] for sample in samples)
    of_files = tuple(
        (path, Facts(int(row[0]), *map(bool, row[1:])))
        for sample, rows in zip(samples, facts, strict=True)
        for path, row in zip(files_of(sample), rows, strict=False)
    )  # without a mask the second row is over
    levels = tuple(map(int, classes))
    return Decoded(images, masks, original_sizes, of_images, levels, of_files)


def _key(
    samples: Sequence[Sample], digests: dict[Path, str], size: Size | None, framing: Framing
) -> str:
    content = [[one.bits, *(digests[path] for path in files_of(one))] for one in samples]
    padded = (PADDING,) if framing.letterbox else ()
    transform = (DECODER_VERSION, PIL.__version__, size and tuple(size), *padded)
    return hashlib.sha256(repr((transform, content)).encode()).hexdigest()


def _saved(
    store: ArrayStore, key: str, make: Callable[[], Iterator[NDArray[Any]]]
) -> list[NDArray[Any]]:
    try:
        return store.save(key, make())
    except OSError as error:
        log.warning(
            "decoded images stay with this process: cannot write %s (%s)", store.folder, error
        )
        with tempfile.TemporaryDirectory() as folder:  # what is mapped outlives it
            return ArrayStore(Path(folder)).save(key, make())


def _arrays(
    samples: Sequence[Sample], digests: dict[Path, str], size: Size | None, framing: Framing
) -> Iterator[NDArray[Any]]:
    """What the cache holds: images (N, H, W, 3) and their masks (N, H, W), of which there are none
    if no sample has one; or each image and its mask in turn, where they have sizes of their own.
    Last come original sizes (N, 2), how many classes each mask has (N,), and the facts of each
    image's file and its masks' (N, 2, 4).
    """
    start = time.perf_counter()
    count, (height, width) = len(samples), size or (0, 0)
    sizes, classes = np.empty((count, 2), np.int64), np.empty(count, np.int64)
    facts = np.empty((count, 2, len(Facts._fields)), np.int64)
    images = np.empty((count, height, width, 3), np.uint8)
    masks = np.zeros((count if any(one.mask for one in samples) else 0, height, width), np.bool_)
    for row, pixels in enumerate(decode_samples(samples, digests, size, framing)):
        sizes[row], classes[row], facts[row] = pixels.original, pixels.classes, pixels.facts
        if size is None:
            yield from (pixels.image, pixels.mask)
            continue
        images[row] = pixels.image
        if pixels.mask.size:
            masks[row] = pixels.mask
    if size is not None:
        yield from (images, masks)
    yield from (sizes, classes, facts)
    log.info("%d images decoded in %.1f s", count, time.perf_counter() - start)


def _warn_of_masks(samples: Sequence[Sample], decoded: Decoded) -> None:
    """What the masks leave in doubt, each kind once."""
    rows = [row for row, sample in enumerate(samples) if sample.mask is not None]
    shares = {row: float(decoded.masks[row].mean()) for row in rows}
    if lost := [row for row in rows if not shares[row]]:
        log.warning(
            "%d of %d masks mark no pixel at %d x %d: their defects are too small for image_size",
            *(len(lost), len(rows), *decoded.masks[lost[0]].shape),
        )
    if several := [row for row in rows if decoded.classes[row] > 1]:
        log.warning(
            "%d of %d masks have several levels, as %s: all but background (0) is defect",
            *(len(several), len(rows), samples[several[0]].mask),
        )
    if over_half := [row for row in rows if shares[row] > 0.5]:
        log.warning(
            "%d of %d masks mark more than half of their image, as %s: is defect what they mark?",
            *(len(over_half), len(rows), samples[over_half[0]].mask),
        )

"""Decoded images of any sizes, each at its own, in one mapped file of which pages are read."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rdad.data.cache import cached_arrays
from rdad.data.decoding import decode_whole, digest_files
from rdad.data.samples import Sample

LAYOUT = "whole images"


@dataclass(frozen=True)
class WholeImages:
    """Pixels of N samples at their own sizes, read-only.

    Attributes:
        content: uint8, for each sample its image (H, W, 3), and after it the mask (H, W) if it has
            one, 1 at defects.
        starts: int64 (N,), where each sample begins in `content`.
        sizes: (height, width) of each image.
        masked: bool (N,), whether the sample has a mask.
        digests: SHA-256 of each image file.
    """

    content: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: tuple[tuple[int, int], ...]
    masked: tuple[bool, ...]
    digests: tuple[str, ...]

    def image(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3)."""
        height, width = self.sizes[row]
        start = self.starts[row]
        return self.content[start : start + 3 * height * width].reshape(height, width, 3)

    def mask(self, row: int) -> NDArray[np.bool_] | None:
        """(H, W), or None for a sample without one."""
        if not self.masked[row]:
            return None
        height, width = self.sizes[row]
        start = self.starts[row] + 3 * height * width
        return self.content[start : start + height * width].reshape(height, width).view(np.bool_)

    def batch(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Images (B, H, W, 3) and masks (B, H, W) of samples of one size, copied."""
        masks = [self.mask(row) for row in rows]
        none = np.broadcast_to(np.False_, self.sizes[rows[0]])
        return (
            np.stack([self.image(row) for row in rows]),
            np.stack([none if mask is None else mask for mask in masks]),
        )


def decode_whole_images(samples: Sequence[Sample], cache_dir: Path | None = None) -> WholeImages:
    """Images and masks at their own sizes, from the cache where it has them.

    While they are decoded, memory holds a few of them, and a temporary file the others.

    Raises:
        DataError: lists every file that is unreadable, missing or does not fit its partner.
    """
    digests = digest_files(samples)
    content, starts, sizes = cached_arrays(
        samples,
        digests,
        lambda folder: _decode(samples, digests, folder),
        layout=LAYOUT,
        cache_dir=cache_dir,
    )
    return WholeImages(
        content=content,
        starts=starts,
        sizes=tuple((int(height), int(width)) for height, width in sizes),
        masked=tuple(sample.mask is not None for sample in samples),
        digests=tuple(digests[sample.image] for sample in samples),
    )


def _decode(
    samples: Sequence[Sample], digests: dict[Path, str], folder: Path
) -> list[NDArray[Any]]:
    starts, sizes = [], []
    with _scratch_file(folder) as file:
        for image, mask in decode_whole(samples, digests):
            starts.append(file.tell())
            sizes.append(image.shape[:2])
            file.write(np.ascontiguousarray(image).data)
            file.write(b"" if mask is None else np.ascontiguousarray(mask).data)
        file.flush()
        content = np.memmap(file, np.uint8, mode="r")  # stays when the file is closed
    return [content, np.array(starts, np.int64), np.array(sizes, np.int64)]


def _scratch_file(folder: Path) -> IO[bytes]:
    """Without a name, in `folder`, or where that cannot be written in the system's place."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()

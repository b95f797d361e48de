"""Decoded images, made once: from the disk where they are known, else decoded and kept there."""

import hashlib
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from rdad.data.decoding import decode_samples, digest_files, files_of
from rdad.data.samples import Sample
from rdad.data.store import LIMIT_BYTES, ArrayStore, default_cache_dir

log = logging.getLogger(__name__)

DECODER_VERSION = 2  # to be raised when the same file would give other pixels


@dataclass(frozen=True)
class Decoded:
    """Pixels of N samples, in their order, read-only.

    images: uint8 (N, H, W, 3), RGB.
    masks: bool (N, H, W); all False where a sample has no mask.
    sizes: Original (height, width) of each image.
    digests: SHA-256 of each image file.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    sizes: tuple[tuple[int, int], ...]
    digests: tuple[str, ...]

    def batch(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Images (B, H, W, 3) and masks (B, H, W)."""
        return self.images[rows], self.masks[rows]


def decode(
    samples: Sequence[Sample],
    image_size: tuple[int, int],
    cache_dir: Path | None = None,
    *,
    limit_bytes: int = LIMIT_BYTES,
) -> Decoded:
    """Images and masks at `image_size` (height, width), from the cache where it has them.

    Raises:
        DataError: lists every file that is unreadable, missing or does not fit its partner.
    """
    digests = digest_files(samples)
    arrays = cached_arrays(
        samples,
        digests,
        lambda _: decode_samples(samples, digests, image_size),
        layout=tuple(image_size),
        cache_dir=cache_dir,
        limit_bytes=limit_bytes,
    )
    return _decoded(samples, digests, arrays)


def cached_arrays(
    samples: Sequence[Sample],
    digests: dict[Path, str],
    make: Callable[[Path], list[NDArray[Any]]],
    *,
    layout: Hashable,
    cache_dir: Path | None,
    limit_bytes: int = LIMIT_BYTES,
) -> list[NDArray[Any]]:
    """What `make` gives for the samples, from the cache where it has it, memory-mapped.

    The cache knows images by their content, so a file that changed is decoded anew. Where the
    cache cannot be written, what was made is returned, and a warning says so.

    Args:
        make: Gets the cache's folder, which may not be there.
        layout: Tells apart what different makers give for the same files.
    """
    folder = (cache_dir or default_cache_dir()) / "decoded"
    store = ArrayStore(folder, limit_bytes=limit_bytes)
    key = _key(samples, digests, layout)
    arrays = store.load(key)
    if arrays is None:
        with store.lock(key):
            arrays = store.load(key) or _made(make, len(samples), store, key)
    return arrays


def _key(samples: Sequence[Sample], digests: dict[Path, str], layout: Hashable) -> str:
    content = [[digests[path] for path in files_of(sample)] for sample in samples]
    transform = (DECODER_VERSION, PIL.__version__, layout)
    return hashlib.sha256(repr((transform, content)).encode()).hexdigest()


def _made(
    make: Callable[[Path], list[NDArray[Any]]], count: int, store: ArrayStore, key: str
) -> list[NDArray[Any]]:
    start = time.perf_counter()
    arrays = make(store.folder)
    log.info("%d images decoded in %.1f s", count, time.perf_counter() - start)
    try:
        store.save(key, arrays)
    except OSError as error:
        log.warning(
            "decoded images stay with this process: cannot write %s (%s)", store.folder, error
        )
        return arrays
    return store.load(key) or arrays


def _decoded(
    samples: Sequence[Sample], digests: dict[Path, str], arrays: Sequence[NDArray[Any]]
) -> Decoded:
    images, stacked, sizes = arrays
    masks: NDArray[np.bool_] = np.broadcast_to(np.False_, images.shape[:3])
    if len(stacked):
        masks = np.zeros(images.shape[:3], np.bool_)
        masks[[index for index, sample in enumerate(samples) if sample.mask]] = stacked
        masks.flags.writeable = False
        _warn_of_lost_masks(stacked)
    images.flags.writeable = False
    return Decoded(
        images=images,
        masks=masks,
        sizes=tuple((int(height), int(width)) for height, width in sizes),
        digests=tuple(digests[sample.image] for sample in samples),
    )


def _warn_of_lost_masks(masks: NDArray[np.bool_]) -> None:
    lost = len(masks) - int(masks.any(axis=(1, 2)).sum())
    if lost:
        height, width = masks.shape[1:]
        log.warning(
            "%d of %d masks mark no pixel at %d x %d: their defects are too small for image_size",
            *(lost, len(masks), height, width),
        )

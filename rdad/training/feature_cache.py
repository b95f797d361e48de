"""The teacher's features of all training images, computed once.

Exact, since training has no augmentation and the teacher is frozen in evaluation mode.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rdad.training.machine import free_memory

log = logging.getLogger(__name__)

Features = Callable[[Tensor], list[Tensor]]
"""Of images, or of what images are named by: one tensor (B, C, h, w) a layer."""

SHARE = 0.5  # of the free memory that features may take


def cache_features(
    encode: Features,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    count: int,
    device: torch.device,
    folder: Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> Features | None:
    """Compute all features, or None where they fit nowhere and are to be computed in each step.

    They are had by their indices (B,), in float32, on the device that keeps them. On a GPU they
    are kept there. Without one they are kept in memory, or else in an unnamed file under `folder`.

    Args:
        encode: The frozen teacher.
        batches: (indices, images) until each index below `count` was there once.
        dtype: float32 is exact; float16 rounds to 11 bits, in half the room.
    """
    stored: list[Tensor] = []
    for indices, images in batches:
        features = [feature.permute(0, 2, 3, 1) for feature in encode(images.to(device))]
        if not stored:
            shapes = [(count, *feature.shape[1:]) for feature in features]
            room = _allocate(shapes, dtype, device, folder)
            if room is None:
                return None
            stored = room
        for layer, feature in zip(stored, features, strict=True):
            layer[indices.to(layer.device)] = feature.to(layer.dtype)
    return partial(_chosen, stored)


def _chosen(stored: Sequence[Tensor], indices: Tensor) -> list[Tensor]:
    """Channels stand last in what is stored, as a channels_last network reads them."""
    chosen = indices.to(stored[0].device)
    return [layer.index_select(0, chosen).float().permute(0, 3, 1, 2) for layer in stored]


def _allocate(
    shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, device: torch.device, folder: Path | None
) -> list[Tensor] | None:
    size = sum(dtype.itemsize * torch.Size(shape).numel() for shape in shapes)
    if size < SHARE * _free_memory(device):
        log.info("encoder features kept in %s memory: %s", device.type, _megabytes(size))
        return [torch.empty(shape, dtype=dtype, device=device) for shape in shapes]
    if device.type == "cpu" and folder is not None and size < SHARE * _free_disk(folder):
        log.info("encoder features kept on disk in %s: %s", folder, _megabytes(size))
        return [_on_disk(shape, dtype, folder) for shape in shapes]
    log.info("encoder features would take %s: they are computed in each step", _megabytes(size))
    return None


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory()


def _free_disk(folder: Path) -> int:
    import shutil

    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free


def _on_disk(shape: tuple[int, ...], dtype: torch.dtype, folder: Path) -> Tensor:
    """A tensor in a mapped file that has no name any more: it goes with the process."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="features-") as file:
        count = torch.Size(shape).numel()
        file.truncate(dtype.itemsize * count)
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"

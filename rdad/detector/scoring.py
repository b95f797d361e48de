"""A trained network's answer to images: raw maps, at their size or the images', and scores."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rdad.data.tiles import cut, pad_to_tile
from rdad.data.tiling import Tiling
from rdad.detector.tile_blend import TileBlend
from rdad.model.precision import Precision
from rdad.model.torch_model import ReverseDistillationModel

Batch = dict[str, Tensor]

TILES_AT_ONCE = 16  # as many as images in a batch of the authors' program


@dataclass(frozen=True)
class ScoredBatch:
    """A batch with what the network says of it: raw `maps` (B, 1, H, W) and `scores` (B,)."""

    batch: Batch
    maps: Tensor
    scores: Tensor


def stretched_map(anomaly_map: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map (h, w) at `size` (height, width); one that has it already is returned as it is.

    Bilinear with pixel centres at halves, as most image programs do it; where it shrinks, the
    mean over the pixels that fall together (Pillow's filter).
    """
    if anomaly_map.shape == size:
        return anomaly_map
    height, width = size
    stretched = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(stretched)


def stretched_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) at `size` (height, width): as its pixel in which the middle of each lies."""
    height, width = size
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


@torch.inference_mode()
def score(
    model: ReverseDistillationModel,
    batches: Iterable[Batch],
    *,
    tiling: Tiling | None = None,
    tiles_at_once: int = TILES_AT_ONCE,
    precision: Precision = nullcontext,
) -> Iterator[ScoredBatch]:
    """Raw maps and scores, batch by batch, on the model's device.

    Args:
        batches: `images` are of the network's size, and so are the maps; with `tiling` they are
            uint8 on the CPU, of any size, and the maps are of that size. Pixels that are not
            `valid`, where that is there, are 0 in maps and have no part in scores.
        tiling: How the images are cut into tiles, if they are.
        tiles_at_once: How many tiles the network sees at a time, which bounds its memory.
    """
    model.eval()
    device = model.encoder.pixel_mean.device
    for batch in batches:
        images = batch["images"]
        valid = [batch["valid"].to(device, non_blocking=True)] if "valid" in batch else []
        if tiling is None:
            with precision():
                maps = model(images.to(device, non_blocking=True), *valid)
        else:
            tiled = [_tiled_map(model, one, tiling, tiles_at_once, precision) for one in images]
            maps = torch.cat(tiled)
        yield ScoredBatch(batch, maps, model.anomaly_map.scores(maps, *valid))


def _tiled_map(
    model: ReverseDistillationModel,
    image: Tensor,
    tiling: Tiling,
    at_once: int,
    precision: Precision,
) -> Tensor:
    """The raw map (1, 1, H, W) of one image (3, H, W), uint8, from maps of its tiles.

    The blur is as wide as the network's own: sigma pixels of what the network sees, which are
    more or fewer of the image where tiles are resized.
    """
    device, size = model.encoder.pixel_mean.device, model.input_size
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    blend = TileBlend(tiling, pixels.shape[:2], device)
    padded, places = pad_to_tile(pixels, tiling), tiling.places(pixels.shape[:2])
    for start in range(0, len(places), at_once):
        some = places[start : start + at_once]
        tiles = torch.from_numpy(cut(padded, tiling, some, size)).permute(0, 3, 1, 2).contiguous()
        with precision():
            blend.add(model.unblurred_maps(tiles.to(device, non_blocking=True)), some)
    sigma = model.anomaly_map.sigma
    vertical, horizontal = (sigma * tiling.size[axis] / size[axis] for axis in (0, 1))
    return blend.finished(sigma=(vertical, horizontal))

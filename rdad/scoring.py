"""A trained network's answer to images: raw maps, and the score of each image."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from rdad.model.torch_model import ReverseDistillationModel

Batch = dict[str, Tensor]
Precision = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class ScoredBatch:
    """A batch with what the network says of it: raw `maps` (B, 1, H, W) and `scores` (B,)."""

    batch: Batch
    maps: Tensor
    scores: Tensor


def anomaly_scores(maps: Tensor) -> Tensor:
    """The image score: the map's maximum. (B, 1, H, W) -> (B,)."""
    return maps.amax(dim=(1, 2, 3))


@torch.inference_mode()
def score(
    model: ReverseDistillationModel, batches: Iterable[Batch], *, precision: Precision = nullcontext
) -> Iterator[ScoredBatch]:
    """Raw maps and scores, batch by batch, on the model's device."""
    model.eval()
    device = model.encoder.pixel_mean.device
    for batch in batches:
        with precision():
            maps = model(batch["images"].to(device, non_blocking=True))
        yield ScoredBatch(batch, maps, anomaly_scores(maps))

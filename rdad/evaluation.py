"""A trained network over a data set: maps, scores, metrics."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rdad.artifacts import ArtifactWriter
from rdad.metrics import AnomalyMetrics
from rdad.model.torch_model import ReverseDistillationModel

if TYPE_CHECKING:
    from rdad.data import AnomalyDataModule

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


def evaluate(
    model: ReverseDistillationModel,
    datamodule: "AnomalyDataModule",
    metrics: AnomalyMetrics,
    writer: ArtifactWriter | None = None,
    *,
    precision: Precision = nullcontext,
) -> dict[str, float]:
    """All metrics over the test images; `writer`, if there is one, gets every map and score.

    Nothing here is fitted on the test images: metrics see the raw scores.
    """
    for scored in score(model, datamodule.test_dataloader(), precision=precision):
        masks = scored.batch["masks"] if datamodule.has_masks else None
        metrics.update(
            scores=scored.scores.cpu(),
            labels=scored.batch["labels"],
            maps=scored.maps.cpu(),
            masks=masks,
            defect_types=scored.batch["defect_types"],
        )
        if writer is not None:
            _write(writer, datamodule, scored)
    return metrics.compute()


def _write(writer: ArtifactWriter, datamodule: "AnomalyDataModule", scored: ScoredBatch) -> None:
    maps, scores = scored.maps.squeeze(1).cpu().numpy(), scored.scores.cpu().tolist()
    for index, anomaly_map, value in zip(
        scored.batch["indices"].tolist(), maps, scores, strict=True
    ):
        sample = datamodule.test_samples[index]
        writer.add(sample, datamodule.test_sizes[index], anomaly_map, value)

"""A trained network over a data set: metrics and artifacts."""

from contextlib import nullcontext
from typing import TYPE_CHECKING

from rdad.artifacts import ArtifactWriter
from rdad.metrics import AnomalyMetrics
from rdad.model.torch_model import ReverseDistillationModel
from rdad.scoring import Precision, ScoredBatch, score

if TYPE_CHECKING:
    from rdad.data import AnomalyDataModule


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

"""A trained network over a data set: thresholds, metrics, and what both leave in a folder."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rdad.config.mistakes import ConfigError
from rdad.data.samples import Sample, defect_types_of
from rdad.detector.calibration import CalibrationPixels, advice, calibrate
from rdad.detector.scoring import Batch, ScoredBatch, score
from rdad.metrics import AnomalyMetrics
from rdad.metrics.groups import groups_of
from rdad.metrics.joint import JointMetrics, RunMetrics, ScoredCategory
from rdad.model.precision import Precision
from rdad.model.torch_model import ReverseDistillationModel
from rdad.results.saturated import JointOverlaps, SaturatedOverlaps, overlaps_for
from rdad.results.writer import ArtifactWriter
from rdad.runs.files import CALIBRATION_FILE, write_metrics, write_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rdad.data import AnomalyDataModule
    from rdad.metrics.thresholds import Thresholds

ALL = ""  # the group of all categories
log = logging.getLogger(__name__)


def calibrate_into(
    folder: Path,
    model: ReverseDistillationModel,
    datamodule: "AnomalyDataModule",
    *,
    image_rate: float,
    pixel_rate: float,
    by: Literal["common", "category"] = "common",
    precision: Precision = nullcontext,
) -> "Thresholds | None":
    """Thresholds from the images that were held back, whose scores go to calibration.csv.

    None where no image was held back. The maps are not kept.

    Args:
        by: `category`: each of several categories has its own beside those of all.
    """
    samples = datamodule.calibration_samples
    if not samples:
        log.info("no thresholds: no image was held back (dataset.calibration)")
        return None
    counted = dict.fromkeys([ALL, *(datamodule.categories if by == "category" else ())], 0)
    for sample, count in zip(samples, datamodule.calibration_pixels, strict=True):
        for group in _groups(sample, counted):
            counted[group] += count
    pixels = {group: CalibrationPixels(count, pixel_rate) for group, count in counted.items()}
    scores: dict[str, list[float]] = {group: [] for group in counted}
    found = _held_back(model, datamodule, precision)
    for sample, (raw, anomaly_map, valid) in zip(samples, found, strict=True):
        for group in _groups(sample, counted):
            scores[group].append(raw)
            pixels[group].add(anomaly_map[None], None if valid is None else valid[None])
    _write_calibration(folder / CALIBRATION_FILE, samples, scores[ALL])
    made = {
        group: calibrate(scores[group], pixels[group], image_rate=image_rate)
        for group in counted
        if scores[group]
    }
    for group, one in made.items():
        of = f" of {group}" if group else ""
        log.info("thresholds%s: %s", of, one)
        if not one.guaranteed:
            log.warning("%s: %s", one.note.partition(":")[0], advice(one))
    return replace(made.pop(ALL), by_category=made)


def _groups(sample: Sample, known: Iterable[str]) -> set[str]:
    return {ALL, sample.category}.intersection(known)


def _held_back(
    model: ReverseDistillationModel, datamodule: "AnomalyDataModule", precision: Precision
) -> Iterator[tuple[float, "NDArray[np.float32]", "NDArray[np.bool_] | None"]]:
    """Raw score, map (H, W) and which of its pixels count, of each image, in their order."""
    for scored in _scored(model, datamodule, datamodule.calibration_dataloader(), precision):
        maps, valid = scored.maps.squeeze(1).cpu().numpy(), scored.batch.get("valid")
        looked_at = [None] * len(maps) if valid is None else valid.squeeze(1).numpy()
        yield from zip(scored.scores.tolist(), maps, looked_at, strict=True)


def _write_calibration(path: Path, samples: Sequence[Sample], scores: Sequence[float]) -> None:
    further = ("category",) if samples[0].category else ()
    rows = [
        (sample.image, score, *(getattr(sample, name) for name in further))
        for sample, score in zip(samples, scores, strict=True)
    ]
    write_table(path, ("image", "score", *further), rows)


def metrics_for(
    datamodule: "AnomalyDataModule",
    thresholds: "Thresholds | None" = None,
    *,
    streaming: bool = False,
    spro_limit: float | None = None,
    **limits: Any,
) -> RunMetrics:
    """The metrics of the data module's test images, by the configuration's node `evaluation`.

    What is not said here is as `AnomalyMetrics` takes it; `spro_limit` is for `asked_overlaps`.
    Maps of images that are cut into tiles are of any size, and all together may be too much to
    keep: there they are always streaming. Of several categories they are each category's.
    """
    given: dict[str, Any] = {
        "defect_types": datamodule.defect_types,
        "thresholds": thresholds,
        "parts": datamodule.test_parts is not None,
        "streaming": streaming or datamodule.tiling is not None,
        **limits,
    }
    if not datamodule.categories:
        return AnomalyMetrics(**given)
    by_category = {
        name: [one for one in datamodule.test_samples if one.category == name]
        for name in datamodule.categories
    }
    categories = [
        ScoredCategory(name, defect_types_of(of), any(one.mask for one in of))
        for name, of in by_category.items()
    ]
    return JointMetrics(categories, **given)


def asked_overlaps(
    datamodule: "AnomalyDataModule", evaluation: Mapping[str, Any], *, check: bool = False
) -> SaturatedOverlaps | JointOverlaps | None:
    """AU-sPRO of the data module's test images, by the configuration's node `evaluation`.

    Args:
        check: Also read all that will be needed, to know before a training.

    Raises:
        ConfigError: a group is not of the test's defect types.
        rdad.data.DataError: the masks do not fit what the data set says is enough of them.
    """
    groups, limit = evaluation["groups"], evaluation["spro_limit"]
    try:
        groups_of(groups, datamodule.defect_types)
    except ValueError as error:
        raise ConfigError(f"evaluation.groups: {error}") from error
    overlaps = overlaps_for(datamodule, fpr_limit=limit, groups=groups)
    if check and overlaps is not None:
        overlaps.check()
    return overlaps


def evaluate_into(
    folder: Path,
    model: ReverseDistillationModel,
    datamodule: "AnomalyDataModule",
    metrics: RunMetrics,
    writer: ArtifactWriter,
    *,
    precision: Precision = nullcontext,
    overlaps: SaturatedOverlaps | JointOverlaps | None = None,
) -> tuple[dict[str, float], dict[str, str]]:
    """All metrics over the test images, with metrics.json and what the writer leaves.

    Returns:
        The metrics by their names in MLflow, as test/image_auroc; and why those that are nan are.
    """
    with writer:
        given = (model, datamodule, metrics, writer)
        values = evaluate(*given, precision=precision, overlaps=overlaps)
        named = {f"test/{name}": value for name, value in values.items()}
        write_metrics(folder, named)
    reasons = metrics.undefined | (overlaps.undefined if overlaps else {})
    undefined = {f"test/{name}": reason for name, reason in reasons.items()}
    for reason in dict.fromkeys(undefined.values()):
        names = ", ".join(name for name in undefined if undefined[name] == reason)
        log.warning("undefined: %s: %s", names, reason)
    return named, undefined


def evaluate(
    model: ReverseDistillationModel,
    datamodule: "AnomalyDataModule",
    metrics: RunMetrics,
    writer: ArtifactWriter | None = None,
    *,
    precision: Precision = nullcontext,
    overlaps: SaturatedOverlaps | JointOverlaps | None = None,
) -> dict[str, float]:
    """All metrics over the test images; `writer`, if there is one, gets every map and score.

    Nothing here is fitted on the test images: metrics see the raw scores.
    """
    for scored in _scored(model, datamodule, datamodule.test_dataloader(), precision):
        batch, maps, scores = scored.batch, scored.maps.cpu(), scored.scores.cpu()
        metrics.update(
            scores=scores,
            labels=batch["labels"],
            maps=maps,
            masks=batch["masks"] if datamodule.has_masks else None,
            defect_types=batch["defect_types"],
            valid=batch.get("valid"),
            **datamodule.beside_test(batch["indices"]),
        )
        of_images = zip(batch["indices"].tolist(), scores.tolist(), strict=True)
        for place, (index, value) in enumerate(of_images):
            sample, size = datamodule.test_samples[index], datamodule.test_sizes[index]
            content = datamodule.framing.content(size, (maps.shape[2], maps.shape[3]))
            anomaly_map = maps[place, 0].numpy()[content]
            valid = batch["valid"][place, 0].numpy()[content] if "valid" in batch else None
            if writer is not None:
                writer.add(sample, size, anomaly_map, value, valid)
            if overlaps is not None:
                overlaps.add(sample, size, anomaly_map, valid)
    figures = metrics.compute() | (overlaps.compute() if overlaps else {})
    if writer is not None:
        writer.take_curves(metrics)
    return figures


def _scored(
    model: ReverseDistillationModel,
    datamodule: "AnomalyDataModule",
    batches: Iterable[Batch],
    precision: Precision,
) -> Iterator[ScoredBatch]:
    """The images cut as the data module says, as many tiles at a time as it has in a batch."""
    return score(
        model.folded(),
        batches,
        tiling=datamodule.tiling,
        tiles_at_once=datamodule.batch_size,
        precision=precision,
    )

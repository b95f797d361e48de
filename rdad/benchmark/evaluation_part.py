"""Features to maps, maps to figures, and what is left on the disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rdad.benchmark.plain.metrics import plain_aupro, plain_auroc
from rdad.benchmark.plain.recipe import plain_map
from rdad.benchmark.rows import Row, Stopwatch
from rdad.benchmark.subject import Subject, spread_places
from rdad.detector.scoring import score
from rdad.metrics import AnomalyMetrics, aupro, auroc
from rdad.results.writer import ArtifactWriter

SCORED = 16  # maps on which both programs' figures are timed
MANY_MAPS = 83  # as many test images as MVTec AD's bottle has
WRITTEN = 8

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]


def evaluation_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    yield map_row(subject, rounds)
    yield from figure_rows(subject, rounds)
    yield from artifact_rows(subject, rounds)


def map_row(subject: Subject, rounds: int) -> Row:
    """A batch of features to maps on the host."""
    model = subject.module.model.eval()
    with torch.no_grad():
        teacher = model.encode(subject.batch()["images"])
        student = model.decode(teacher)
    singles = [
        ([layer[[place]].contiguous() for layer in teacher],
         [layer[[place]].contiguous() for layer in student])
        for place in range(len(teacher[0]))
    ]  # fmt: skip

    def ours() -> None:
        model.anomaly_map(student, teacher).cpu()

    def plain() -> None:
        for one_teacher, one_student in singles:
            plain_map(one_teacher, one_student, model.input_size)

    watch = Stopwatch("evaluation", subject.device, rounds)
    return watch.row("map", len(singles), ours, plain)


def figure_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    maps, masks = scored_maps(subject, SCORED)
    scores, labels = maps.max((1, 2)), masks.any((1, 2)).astype(int)

    def plain_pixels() -> None:
        stacks = (maps, masks.astype(int))
        plain_auroc(*([value for image in stack for value in image.ravel()] for stack in stacks))

    def plain_regions() -> None:
        for place in np.flatnonzero(labels):
            plain_aupro(maps[place], masks[place])

    def plain_images() -> None:
        plain_auroc(scores.tolist(), labels.tolist())

    watch = Stopwatch("evaluation", torch.device("cpu"), rounds)
    yield watch.row("image AUROC", SCORED, lambda: auroc(scores, labels), plain_images)
    yield watch.row("pixel AUROC", SCORED, lambda: auroc(maps, masks), plain_pixels)
    yield watch.row("AUPRO", SCORED, lambda: aupro(maps, masks), plain_regions)
    many = scored_maps(subject, MANY_MAPS)
    yield watch.row(f"all figures, {MANY_MAPS} maps", MANY_MAPS, lambda: all_figures(*many))


def artifact_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    """Raw maps at the images' own sizes, and pictures; both with the curves."""
    number = min(WRITTEN, len(subject.test))
    maps, _ = scored_maps(subject, number)
    samples, sizes = subject.data.test_samples, subject.data.test_sizes
    places = spread_places(len(subject.test), number)

    def write(*, with_maps: bool, overlays: int) -> None:
        with (
            tempfile.TemporaryDirectory(dir=subject.folder) as folder,
            ArtifactWriter(
                Path(folder), category="x", maps=with_maps, overlays=overlays, fpr_limit=0.3
            ) as writer,
        ):
            for place, one in zip(places, maps, strict=True):
                writer.add(samples[place], sizes[place], one, float(one.max()))

    watch = Stopwatch("artifacts", torch.device("cpu"), rounds)
    yield watch.row("raw maps", number, lambda: write(with_maps=True, overlays=0))
    yield watch.row("pictures", number, lambda: write(with_maps=False, overlays=number))


def scored_maps(subject: Subject, number: int) -> tuple[Maps, Masks]:
    """(number, H, W) each, evenly from the test images; again from the first where they end."""
    scored = list(score(subject.module.model, subject.data.test_dataloader()))
    maps = torch.cat([one.maps[:, 0].cpu() for one in scored]).numpy()
    masks = torch.cat([one.batch["masks"][:, 0] for one in scored]).numpy()
    chosen = np.resize(spread_places(len(maps), number), number)
    return maps[chosen], masks[chosen]


def all_figures(maps: Maps, masks: Masks) -> dict[str, float]:
    """All that a run reports of maps and masks (N, H, W)."""
    metrics = AnomalyMetrics()
    metrics.update(
        scores=torch.from_numpy(maps.max((1, 2))),
        labels=torch.from_numpy(masks.any((1, 2)).astype(int)),
        maps=torch.from_numpy(maps)[:, None],
        masks=torch.from_numpy(masks)[:, None],
    )
    return metrics.compute()

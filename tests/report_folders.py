"""Reports made of small images, for the tests of the page; and what a page holds, read back."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from rdad.data.images import decode_mask, read_bytes, resize_mask
from rdad.data.samples import Sample
from rdad.metrics import AnomalyMetrics
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.results.report.contents import ReportSubject
from rdad.results.writer import ArtifactWriter

SIZE = (40, 60)  # height, width
THRESHOLDS = Thresholds(
    image=Threshold(0.5, 4.0),
    pixel=Threshold(0.4, 4.0),
    image_rate=0.02,
    pixel_rate=0.001,
    images=60,
    guaranteed=True,
    note="place 60 of 60",
)


def make_samples(folder: Path, types: Sequence[str]) -> list[Sample]:
    """A sample of each type named; all share one image and, if defective, one mask."""
    folder.mkdir(parents=True, exist_ok=True)
    image, mask = folder / "image.png", folder / "mask.png"
    Image.linear_gradient("L").convert("RGB").resize((SIZE[1], SIZE[0])).save(image)
    marked = Image.new("L", (SIZE[1], SIZE[0]))
    marked.paste(255, (15, 10, 30, 20))
    marked.save(mask)
    return [
        Sample(image, int(kind != "good"), kind, None if kind == "good" else mask, f"{number:03}")
        for number, kind in enumerate(types)
    ]


def subject(title: str = "part") -> ReportSubject:
    settings = {"dataset": "mvtec_ad", "backbone": "resnet18", "mode": "add", "lr": 0.005}
    again = {"list": "'outputs/a part/list.txt'", "command": "python -m rdad.train again"}
    return ReportSubject(title, settings, "2026-11-21T21:43:20+00:00", "outputs/a part", again)


def computed_metrics(
    samples: Sequence[Sample], scores: Sequence[float], maps: Sequence[np.ndarray]
) -> AnomalyMetrics:
    """The metrics of maps (H, W) of any sizes; without masks where a defect has none."""
    metrics = AnomalyMetrics()
    has_masks = all(sample.mask is not None for sample in samples if sample.label)
    for sample, score, anomaly_map in zip(samples, scores, maps, strict=True):
        mask = np.zeros(anomaly_map.shape, bool)
        if has_masks and sample.mask is not None:
            decoded = decode_mask(read_bytes(sample.mask), sample.mask)
            mask = resize_mask(decoded, anomaly_map.shape)
        metrics.update(
            scores=torch.tensor([score]),
            labels=torch.tensor([sample.label]),
            maps=torch.from_numpy(anomaly_map)[None, None],
            masks=torch.from_numpy(mask)[None, None] if has_masks else None,
        )
    metrics.compute()
    return metrics


def write_report(
    run_dir: Path,
    samples: Sequence[Sample],
    scores: Sequence[float],
    *,
    title: str = "part",
    thresholds: Thresholds | None = None,
) -> Path:
    """The path of a report whose maps have a hot square as high as the score."""
    with ArtifactWriter(
        run_dir,
        category="part",
        maps=False,
        overlays=0,
        report=subject(title),
        thresholds=thresholds,
    ) as writer:
        maps = [np.full((32, 32), 0.1, np.float32) for _ in samples]
        for sample, score, anomaly_map in zip(samples, scores, maps, strict=True):
            anomaly_map[8:16, 8:16] = score
            writer.add(sample, SIZE, anomaly_map, score)
        if samples and np.isfinite(scores).all():
            writer.take_curves(computed_metrics(samples, scores, maps))
    return run_dir / "report.html"


def held(page: str, name: str) -> Any:
    """The data that a page carries under `name`: contents or images."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found is not None, f"no data {name}"
    return json.loads(found[1])

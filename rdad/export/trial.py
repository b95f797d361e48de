"""An export run as its consumer would run it, beside the network it was made of."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rdad.data.samples import spread
from rdad.detector.trained_model import Prediction, TrainedModel
from rdad.export.evidence import Evidence, loaded
from rdad.export.formats import Answers, Ask, Export
from rdad.metrics.exact import auroc

TOLERANCE = 1e-3  # of raw scores and maps, in fp32
_UNHINTED_IMAGES = 4
_WARM_UP = 3  # calls that are not counted: memory is first touched, kernels are chosen


def tried(
    export: Export,
    trained: TrainedModel,
    evidence: Evidence,
    *,
    compare: int | None,
    calls: int,
) -> dict[str, Any]:
    """Open the files, compare on `compare` images (None: all), and time `calls` calls.

    Returns:
        Plain data. `agreement`: see `_agreement`; `without_run_with`: the same on a few images,
        opened without what `Export.run_with` says, where it says something; `latency`: see
        `_latency`, empty where no calls are asked for.

    Raises:
        ValueError: in fp32, scores or maps differ from the network's by more than TOLERANCE; in
            any precision, there are answers that are no numbers.
    """
    ask = export.open()
    seen = {"agreement": _agreement(ask, trained, evidence, most=compare)}
    _check(seen["agreement"], export.precision)
    if export.run_with:
        unhinted = export.open(hinted=False)
        seen["without_run_with"] = _agreement(unhinted, trained, evidence, most=_UNHINTED_IMAGES)
    return seen | {"latency": _latency(ask, trained, evidence, calls=calls) if calls else {}}


def largest(agreed: Mapping[str, Any]) -> float:
    """The largest difference of raw values; nan where one of them is no number."""
    return float(np.max([agreed["score"], agreed["anomaly_map"]]))


def _agreement(
    ask: Ask, trained: TrainedModel, evidence: Evidence, *, most: int | None
) -> dict[str, Any]:
    """The largest differences, export from network, asked about images one by one.

    Of normalised scores and labels where there are thresholds; and the image AUROC of the two where
    all images are seen, and there are good and defective ones.

    Args:
        most: How many images, spread evenly; None is all.
    """
    chosen, labels, compared = spread(evidence.images, most), evidence.labels, []
    for image in tqdm(chosen, "comparing", disable=None, leave=False):
        compared.append(_compared(trained.predict(image), ask(loaded(image, trained.bits))))
    network, export, maps, normalised, differing = np.array(compared).T
    agreed = {
        "described": evidence.described,
        "images": len(chosen),
        "available": len(evidence.images),
        "score": float(np.abs(network - export).max()),
        "anomaly_map": float(maps.max()),
    }
    if trained.thresholds is not None:
        agreed["normalised_score"] = float(normalised.max())
        agreed["differing_labels"] = int(differing.sum())
    if len(chosen) == len(evidence.images) and len(set(labels)) == 2:
        agreed["network_auroc"] = auroc(network, labels)
        agreed["export_auroc"] = auroc(export, labels)
    return agreed


def _compared(expected: Prediction, found: Answers) -> tuple[float, ...]:
    """The two scores, and how far maps, normalised scores and labels differ."""
    score, map_difference = float(found["score"][0]), expected.anomaly_map - found["anomaly_map"][0]
    raw = expected.score, score, float(np.abs(map_difference).max())
    if expected.normalised_score is None:
        return *raw, 0.0, 0.0
    normalised = abs(expected.normalised_score - float(found["normalised_score"][0]))
    return *raw, normalised, float(expected.is_defective != bool(found["label"][0]))


def _check(agreed: Mapping[str, Any], precision: str) -> None:
    if not np.isfinite(largest(agreed)):
        raise ValueError(f"in {precision} there are scores that are no numbers; nothing was kept")
    if precision == "fp32" and largest(agreed) > TOLERANCE:
        raise ValueError(
            f"the export's answers differ from the network's: scores by up to "
            f"{agreed['score']:.2g}, maps by up to {agreed['anomaly_map']:.2g}; allowed in fp32 "
            f"are {TOLERANCE:g}. Nothing was kept"
        )


def _latency(ask: Ask, trained: TrainedModel, evidence: Evidence, *, calls: int) -> dict[str, Any]:
    """Milliseconds of `network` and `export`, in turn, so that both meet the same weather.

    Of calls with one image; 95 in 100 take no longer than `p95_ms`.
    """
    images = loaded(evidence.images[0], trained.bits)

    def network(images: NDArray[np.uint8]) -> object:  # with the maps, which the export gives too
        return [one.anomaly_map for one in trained.predict_batch(list(images))]

    seconds: dict[str, list[float]] = {"network": [], "export": []}
    for _ in range(_WARM_UP + calls):
        for times, task in zip(seconds.values(), (network, ask), strict=True):
            started = time.perf_counter()
            task(images)
            times.append(time.perf_counter() - started)
    found: dict[str, Any] = {}
    for name, times in seconds.items():
        p50, p95 = (np.percentile(times[_WARM_UP:], (50, 95)) * 1000).round(3).tolist()
        found[name] = {"p50_ms": p50, "p95_ms": p95, "calls": calls}
    size, threads = list(images.shape[1:3]), torch.get_num_threads()
    return found | {"image": size, "batch": 1, "threads": threads, "device": "cpu"}

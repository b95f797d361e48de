"""An export run as its consumer would run it, beside the network it was made of."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rdad.detector.trained_model import Prediction, TrainedModel
from rdad.export.evidence import Evidence, loaded, spread
from rdad.export.formats import Answers, Ask, Written
from rdad.metrics.exact import auroc

TOLERANCE = 1e-3  # of raw scores and maps, in fp32
_UNHINTED_IMAGES = 4
_WARM_UP = 3  # calls that are not counted: memory is first touched, kernels are chosen


@dataclass(frozen=True)
class Agreement:
    """The largest differences, export from network, over some images.

    Attributes:
        images: On how many of those that are `available`; `described` says which they are.
        normalised_score, differing_labels: None without thresholds.
        network_auroc, export_auroc: Image AUROC of the two; None where not all images
            were seen, or labels are not known or all the same.
    """

    described: str
    images: int
    available: int
    score: float
    anomaly_map: float
    normalised_score: float | None
    differing_labels: int | None
    network_auroc: float | None
    export_auroc: float | None

    @property
    def largest(self) -> float:
        """Of the raw values; infinite where one of them is no number."""
        found = max(self.score, self.anomaly_map)
        return math.inf if math.isnan(self.score + self.anomaly_map) else found

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Latency:
    """Of calls with one image; 95 in 100 take no longer than `p95_ms`."""

    p50_ms: float
    p95_ms: float
    calls: int


@dataclass(frozen=True)
class Trial:
    """What was seen.

    Attributes:
        agreement: With the network.
        unhinted: The same on a few images without what `Format.run_with` says; None where it says
            nothing.
        latencies: Of `network` and `export`; empty where none was asked for.
        timed_on: (height, width) of the image that was timed.
        network_bytes: All tensors of the network.
    """

    agreement: Agreement
    unhinted: Agreement | None
    latencies: dict[str, Latency]
    timed_on: tuple[int, int]
    threads: int
    network_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For the sidecar."""
        unhinted = {} if self.unhinted is None else {"without_run_with": self.unhinted.to_dict()}
        where = {"image": list(self.timed_on), "batch": 1, "threads": self.threads, "device": "cpu"}
        latency = {name: asdict(one) for name, one in self.latencies.items()}
        return {
            "agreement": self.agreement.to_dict(),
            **unhinted,
            "latency": latency | where if latency else {},
        }


def tried(
    written: Written,
    trained: TrainedModel,
    evidence: Evidence,
    *,
    compare: int | None,
    calls: int,
) -> Trial:
    """Open the files, compare on `compare` images (None: all), and time `calls` calls.

    Raises:
        ValueError: in fp32, scores or maps differ from the network's by more than TOLERANCE; in
            any precision, there are answers that are no numbers.
    """
    chosen, unhinted = written.format, None
    ask = chosen.open(written, chosen.run_with)
    agreed = _agreement(ask, trained, evidence, most=compare)
    _check(agreed, written.precision)
    if chosen.run_with:
        unasked = chosen.open(written, {})
        unhinted = _agreement(unasked, trained, evidence, most=_UNHINTED_IMAGES)
    example = loaded(evidence.images[0])

    def network(images: NDArray[np.uint8]) -> object:  # with the maps, which the export gives too
        return [one.anomaly_map for one in trained.predict_batch(list(images))]

    tasks = {"network": network, "export": ask}
    return Trial(
        agreement=agreed,
        unhinted=unhinted,
        latencies=_latencies(tasks, example, calls=calls) if calls else {},
        timed_on=(example.shape[1], example.shape[2]),
        threads=torch.get_num_threads(),
        network_bytes=sum(one.nbytes for one in trained.model.state_dict().values()),
    )


def _agreement(
    ask: Ask, trained: TrainedModel, evidence: Evidence, *, most: int | None
) -> Agreement:
    """Ask both about images one by one, `most` of them, spread evenly; None is all."""
    chosen = spread(evidence.images, most)
    compared = []
    for image in tqdm(chosen, "comparing", disable=None, leave=False):
        pixels = loaded(image)
        compared.append(_compared(trained.predict(pixels[0]), ask(pixels)))
    network, export, maps, normalised, differing = np.array(compared).T
    aurocs = None, None
    labels = evidence.labels if len(chosen) == len(evidence.images) else None
    if labels is not None and len(set(labels)) == 2:
        aurocs = auroc(network, labels), auroc(export, labels)
    judged = trained.thresholds is not None
    return Agreement(
        described=evidence.described,
        images=len(chosen),
        available=len(evidence.images),
        score=float(np.abs(network - export).max()),
        anomaly_map=float(maps.max()),
        normalised_score=float(normalised.max()) if judged else None,
        differing_labels=int(differing.sum()) if judged else None,
        network_auroc=aurocs[0],
        export_auroc=aurocs[1],
    )


def _compared(expected: Prediction, found: Answers) -> tuple[float, ...]:
    """The two scores, and how far maps, normalised scores and labels differ."""
    score, map_difference = float(found["score"][0]), expected.anomaly_map - found["anomaly_map"][0]
    raw = expected.score, score, float(np.abs(map_difference).max())
    if expected.normalised_score is None:
        return *raw, 0.0, 0.0
    normalised = abs(expected.normalised_score - float(found["normalised_score"][0]))
    return *raw, normalised, float(expected.is_defective != bool(found["label"][0]))


def _check(agreed: Agreement, precision: str) -> None:
    if math.isinf(agreed.largest):
        raise ValueError(f"in {precision} there are scores that are no numbers; nothing was kept")
    if precision == "fp32" and agreed.largest > TOLERANCE:
        raise ValueError(
            f"the export's answers differ from the network's: scores by up to {agreed.score:.2g}, "
            f"maps by up to {agreed.anomaly_map:.2g}; allowed in fp32 are {TOLERANCE:g}. "
            "Nothing was kept"
        )


def _latencies(
    tasks: Mapping[str, Callable[[NDArray[np.uint8]], object]],
    images: NDArray[np.uint8],
    *,
    calls: int,
) -> dict[str, Latency]:
    """Each task so many times, in turn, so that all meet the same weather."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(_WARM_UP + calls):
        for name, task in tasks.items():
            started = time.perf_counter()
            task(images)
            seconds[name].append(time.perf_counter() - started)
    found = {}
    for name, times in seconds.items():
        p50, p95 = np.percentile(times[_WARM_UP:], (50, 95)) * 1000
        found[name] = Latency(round(float(p50), 3), round(float(p95), 3), calls)
    return found

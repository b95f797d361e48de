"""How long one image takes, from pixels to answers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel
    from rdad.export.formats import Images

WARM_UP = 3  # calls that are not counted: memory is first touched, kernels are chosen


@dataclass(frozen=True)
class Latency:
    """Of calls with one image; 95 in 100 take no longer than `p95_ms`."""

    p50_ms: float
    p95_ms: float
    calls: int


def latencies(
    tasks: Mapping[str, Callable[["Images"], object]], images: "Images", *, calls: int
) -> dict[str, Latency]:
    """Each task so many times, in turn, so that all meet the same weather."""
    for task in tasks.values():
        for _ in range(WARM_UP):
            task(images)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(calls):
        for name, task in tasks.items():
            started = time.perf_counter()
            task(images)
            seconds[name].append(time.perf_counter() - started)
    return {name: _latency(found) for name, found in seconds.items()}


def network_task(trained: "TrainedModel") -> Callable[["Images"], object]:
    """What the export does in one call, done by the network and Pillow."""
    return lambda images: [one.anomaly_map for one in trained.predict_batch(list(images))]


def _latency(seconds: list[float]) -> Latency:
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    return Latency(round(float(p50), 3), round(float(p95), 3), len(seconds))

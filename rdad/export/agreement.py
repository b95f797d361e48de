"""How far an export's answers lie from the network's."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from rdad.export.evidence import Evidence, loaded

if TYPE_CHECKING:
    from rdad.detector.trained_model import Prediction, TrainedModel
    from rdad.export.formats import Answers, Ask

_NORMALISED = "normalised_score"


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


def agreement(
    ask: "Ask", trained: "TrainedModel", evidence: Evidence, *, most: int | None
) -> Agreement:
    """Ask both about images one by one, `most` of them, spread evenly; None is all."""
    chosen = spread(len(evidence.images), most)
    differences: dict[str, list[float]] = {}
    scores: list[tuple[float, float]] = []
    for place in tqdm(chosen, "comparing", disable=None, leave=False):
        images = loaded(evidence.images[place])
        expected, found = trained.predict(images[0]), ask(images)
        scores.append((expected.score, float(found["score"][0])))
        for name, difference in _differences(expected, found):
            differences.setdefault(name, []).append(difference)
    largest = {name: float(np.max(values)) for name, values in differences.items()}
    seen_all = len(chosen) == len(evidence.images)
    aurocs = _aurocs(scores, evidence.labels if seen_all else None)
    return Agreement(
        described=evidence.described,
        images=len(chosen),
        available=len(evidence.images),
        score=largest["score"],
        anomaly_map=largest["anomaly_map"],
        normalised_score=largest.get(_NORMALISED),
        differing_labels=int(sum(differences["label"])) if "label" in differences else None,
        network_auroc=aurocs[0],
        export_auroc=aurocs[1],
    )


def spread(count: int, most: int | None) -> list[int]:
    """At most so many places below `count`, evenly apart, the first and the last among them."""
    if most is None or most >= count:
        return list(range(count))
    return sorted({round(place) for place in np.linspace(0, count - 1, most)})


def _differences(expected: "Prediction", found: "Answers") -> Iterator[tuple[str, float]]:
    yield "score", abs(expected.score - float(found["score"][0]))
    yield "anomaly_map", float(np.abs(expected.anomaly_map - found["anomaly_map"][0]).max())
    if expected.normalised_score is not None:
        yield _NORMALISED, abs(expected.normalised_score - float(found[_NORMALISED][0]))
        yield "label", float(expected.is_defective != bool(found["label"][0]))


def _aurocs(
    scores: Sequence[tuple[float, float]], labels: Sequence[int] | None
) -> tuple[float | None, float | None]:
    """The network's and the export's."""
    from rdad.metrics.exact import auroc

    if labels is None or len(set(labels)) < 2:
        return None, None
    network, export = zip(*scores, strict=True)
    return auroc(network, labels), auroc(export, labels)

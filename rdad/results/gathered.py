"""What a test has found so far, image by image."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rdad.results.spool import Spool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rdad.data.samples import Sample
    from rdad.metrics import Curve
    from rdad.metrics.thresholds import Thresholds


@dataclass
class Gathered:
    """The results of a test's images, in their order.

    Attributes:
        maps: Raw, (H, W), one a sample; nan where it is ignored.
        fpr_limit: To which the area in the PRO curve goes.
        thresholds: None where the network has none.
        scores: Raw, one a sample.
        limits: The lowest and the highest value of all maps.
        curves, areas: `AnomalyMetrics.curves` and `curve_areas`; empty before they are computed.
        undefined: Why metrics that are nan are so, by name.
    """

    maps: Spool
    fpr_limit: float = 0.3
    thresholds: "Thresholds | None" = None
    samples: "list[Sample]" = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    limits: tuple[float, float] = (np.inf, -np.inf)
    curves: "dict[str, Curve]" = field(default_factory=dict)
    areas: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)

    def add(self, sample: "Sample", score: float, values: "NDArray[np.float32]") -> None:
        """Take what is kept in memory; the map goes into `maps` by itself, which may fail."""
        low, high = self.limits
        self.samples.append(sample)
        self.scores.append(score)
        self.limits = (
            min(low, float(np.fmin.reduce(values, None))),
            max(high, float(np.fmax.reduce(values, None))),
        )

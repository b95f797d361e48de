"""The figures of a run: image scores and maps together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from torch import Tensor
from torchmetrics import Metric, MetricCollection

from rdad.metrics.at_threshold import ThresholdMetrics
from rdad.metrics.groups import Groups
from rdad.metrics.image import ImageMetrics
from rdad.metrics.pixel import AuproDefinition, PixelMetrics
from rdad.metrics.ranking import Curve
from rdad.metrics.streaming import StreamingPixelMetrics

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds


class AnomalyMetrics(MetricCollection):
    """All figures that a run reports, from one pass over raw scores and maps.

    `compute` gives `image_auroc`, `image_ap`, `image_f1_max`, `pixel_auroc`, `pixel_ap`,
    `pixel_f1_max` and `aupro`; with more than one defect type also `image_auroc/<type>` and so on.
    With thresholds also what `ThresholdMetrics` gives. F1-max is an optimum over the test images:
    no threshold comes of it.

    Memory: 12 bytes an image and 4 bytes a pixel (8 more a defect pixel), where the maps are; with
    `streaming` about 150 MB in place of the pixels.

    Args:
        defect_types: Names of the defect types; their places are the codes given to `update`.
        groups: Of these types, see `rdad.metrics.groups`; they have image figures of their own.
        fpr_limit: The false-positive rate up to which AUPRO is taken.
        aupro: `dataset` (MVTec's definition) or `per_image` (the authors').
        streaming: Bounded memory, and pixel figures within 1e-6 of exact on smooth maps.
        thresholds: Found before the test, on other images.
    """

    def __init__(
        self,
        *,
        defect_types: Sequence[str] = (),
        groups: Groups = None,
        fpr_limit: float = 0.3,
        aupro: AuproDefinition = "dataset",
        streaming: bool = False,
        thresholds: "Thresholds | None" = None,
    ) -> None:
        pixel = StreamingPixelMetrics if streaming else PixelMetrics
        parts: dict[str, Metric | MetricCollection] = {
            "image": ImageMetrics(defect_types, groups),
            "pixel": pixel(fpr_limit=fpr_limit, aupro=aupro),
        }
        if thresholds is not None:
            parts["threshold"] = ThresholdMetrics(thresholds, defect_types)
        super().__init__(parts, compute_groups=False)

    @property
    def undefined(self) -> dict[str, str]:
        """For each figure that the last `compute` found undefined, the reason."""
        further = self._threshold.undefined if self._threshold else {}
        return self._image.undefined | self._pixel.undefined | further

    @property
    def curves(self) -> dict[str, Curve]:
        """Of the last `compute`, for plots: `image_roc`, `pixel_roc`, `pro`; empty if undefined."""
        return self._image.curves | self._pixel.curves

    @property
    def curve_areas(self) -> dict[str, float]:
        """Under the `curves` that are defined; `pro` up to `fpr_limit`, whatever `aupro` is."""
        return self._image.curve_areas | self._pixel.curve_areas

    def update(
        self,
        *,
        scores: Tensor,
        labels: Tensor,
        maps: Tensor,
        masks: Tensor | None = None,
        defect_types: Tensor | None = None,
    ) -> None:
        """Add a batch: `scores`, `labels`, `defect_types` (B,), `maps` and `masks` (B, 1, H, W).

        Without masks the pixel figures are nan. Ranges and errors as in `ImageMetrics.update` and
        `PixelMetrics.update`.
        """
        self._image.update(scores, labels, defect_types)
        self._pixel.update(maps, masks)
        if self._threshold:
            self._threshold.update(scores, labels, maps, masks, defect_types)

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        further = self._threshold.compute() if self._threshold else {}
        return self._image.compute() | self._pixel.compute() | further

    @property
    def _image(self) -> ImageMetrics:
        return cast(ImageMetrics, self["image"])

    @property
    def _pixel(self) -> PixelMetrics:
        return cast(PixelMetrics, self["pixel"])

    @property
    def _threshold(self) -> ThresholdMetrics | None:
        return cast(ThresholdMetrics, self["threshold"]) if "threshold" in self else None

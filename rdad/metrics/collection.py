"""The figures of a run: image scores and maps together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from torch import Tensor
from torchmetrics import Metric, MetricCollection

from rdad.metrics.at_threshold import ThresholdMetrics
from rdad.metrics.groups import Groups
from rdad.metrics.image import ImageMetrics
from rdad.metrics.part import PartMetrics
from rdad.metrics.pixel import AuproDefinition, PixelMetrics
from rdad.metrics.ranking import Curve
from rdad.metrics.streaming import StreamingPixelMetrics

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds


class AnomalyMetrics(MetricCollection):
    """All figures that a run reports, from one pass over raw scores and maps.

    `compute` gives `image_auroc`, `image_ap`, `image_f1_max`, `pixel_auroc`, `pixel_ap`,
    `pixel_f1_max` and `aupro`; with more than one defect type also `image_auroc/<type>` and so on.
    With thresholds also what `ThresholdMetrics` gives, with parts what `PartMetrics` gives. F1-max
    is an optimum over the test images: no threshold comes of it.

    Memory: 12 bytes an image and 4 bytes a pixel (8 more a defect pixel), where the maps are; with
    `streaming` about 150 MB in place of the pixels.

    Args:
        defect_types: Names of the defect types; their places are the codes given to `update`.
        groups: Of these types, see `rdad.metrics.groups`; they have image figures of their own.
        fpr_limit: The false-positive rate up to which AUPRO is taken.
        aupro: `dataset` (MVTec's definition) or `per_image` (the authors').
        streaming: Bounded memory, and pixel figures within 1e-6 of exact on smooth maps.
        thresholds: Found before the test, on other images.
        parts: Whether there are items that are seen in several images.
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
        parts: bool = False,
    ) -> None:
        pixel = StreamingPixelMetrics if streaming else PixelMetrics
        members: dict[str, Metric | MetricCollection] = {
            "image": ImageMetrics(defect_types, groups),
            "pixel": pixel(fpr_limit=fpr_limit, aupro=aupro),
        }
        if thresholds is not None:
            members["threshold"] = ThresholdMetrics(thresholds, defect_types)
        if parts:
            members["part"] = PartMetrics(thresholds)
        super().__init__(members, compute_groups=False)

    @property
    def undefined(self) -> dict[str, str]:
        """For each figure that the last `compute` found undefined, the reason."""
        found = self._image.undefined | self._pixel.undefined
        for further in filter(None, (self._threshold, self._part)):
            found |= further.undefined
        return found

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
        parts: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> None:
        """Add a batch: `scores`, `labels`, `defect_types` (B,), `maps` and `masks` (B, 1, H, W).

        Without masks the pixel figures are nan. `parts` (B,) have one number for all views of an
        item. Of pixels only those that are True in `valid` (B, 1, H, W) count. Ranges and errors as
        in `ImageMetrics.update` and `PixelMetrics.update`.
        """
        self._image.update(scores, labels, defect_types)
        self._pixel.update(maps, masks, valid)
        if self._threshold:
            self._threshold.update(scores, labels, maps, masks, defect_types, valid)
        if self._part and parts is not None:
            self._part.update(scores, labels, parts)

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        figures = self._image.compute() | self._pixel.compute()
        for further in filter(None, (self._threshold, self._part)):
            figures |= further.compute()
        return figures

    @property
    def _image(self) -> ImageMetrics:
        return cast(ImageMetrics, self["image"])

    @property
    def _pixel(self) -> PixelMetrics:
        return cast(PixelMetrics, self["pixel"])

    @property
    def _threshold(self) -> ThresholdMetrics | None:
        return cast(ThresholdMetrics, self["threshold"]) if "threshold" in self else None

    @property
    def _part(self) -> PartMetrics | None:
        return cast(PartMetrics, self["part"]) if "part" in self else None

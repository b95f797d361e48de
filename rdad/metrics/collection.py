"""The figures of a run: image scores and maps together."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor
from torchmetrics import MetricCollection

from rdad.metrics.curves import Curve
from rdad.metrics.image import ImageMetrics
from rdad.metrics.pixel import PixelMetrics
from rdad.metrics.pixel_state import AuproDefinition
from rdad.metrics.streaming import StreamingPixelMetrics


class AnomalyMetrics(MetricCollection):
    """All figures that a run reports, from one pass over raw scores and maps.

    `compute` gives `image_auroc`, `image_ap`, `image_f1_max`, `pixel_auroc`, `pixel_ap`,
    `pixel_f1_max` and `aupro`; with more than one defect type also `image_auroc/<type>` and so on.

    Memory: 12 bytes an image and 4 bytes a pixel (8 more a defect pixel), where the maps are; with
    `streaming` about 150 MB in place of the pixels.

    Args:
        defect_types: Names of the defect types; their places are the codes given to `update`.
        fpr_limit: The false-positive rate up to which AUPRO is taken.
        aupro: `dataset` (MVTec's definition) or `per_image` (the authors').
        streaming: Bounded memory, and pixel figures within 1e-6 of exact on smooth maps.
    """

    def __init__(
        self,
        *,
        defect_types: Sequence[str] = (),
        fpr_limit: float = 0.3,
        aupro: AuproDefinition = "dataset",
        streaming: bool = False,
    ) -> None:
        pixel = StreamingPixelMetrics if streaming else PixelMetrics
        image_metrics = ImageMetrics(defect_types)
        pixel_metrics = pixel(fpr_limit=fpr_limit, aupro=aupro)
        super().__init__({"image": image_metrics, "pixel": pixel_metrics}, compute_groups=False)

    @property
    def undefined(self) -> dict[str, str]:
        """For each figure that the last `compute` found undefined, the reason."""
        return self._image.undefined | self._pixel.undefined

    @property
    def curves(self) -> dict[str, Curve]:
        """Of the last `compute`, for plots: `image_roc`, `pixel_roc`, `pro`; empty if undefined."""
        return self._image.curves | self._pixel.curves

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

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        return self._image.compute() | self._pixel.compute()

    @property
    def _image(self) -> ImageMetrics:
        return cast(ImageMetrics, self["image"])

    @property
    def _pixel(self) -> PixelMetrics:
        return cast(PixelMetrics, self["pixel"])

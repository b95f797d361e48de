"""Exact figures of raw scores and maps: numpy functions, and torchmetrics classes over them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdad.metrics.at_threshold import ThresholdMetrics as ThresholdMetrics
    from rdad.metrics.collection import AnomalyMetrics as AnomalyMetrics
    from rdad.metrics.curves import Curve as Curve
    from rdad.metrics.curves import pro_curve as pro_curve
    from rdad.metrics.curves import roc_curve as roc_curve
    from rdad.metrics.exact import aupro as aupro
    from rdad.metrics.exact import aupro_per_image as aupro_per_image
    from rdad.metrics.exact import auroc as auroc
    from rdad.metrics.exact import average_precision as average_precision
    from rdad.metrics.exact import f1_max as f1_max
    from rdad.metrics.image import ImageMetrics as ImageMetrics
    from rdad.metrics.pixel import AUPRO as AUPRO
    from rdad.metrics.pixel import PixelMetrics as PixelMetrics
    from rdad.metrics.streaming import StreamingPixelMetrics as StreamingPixelMetrics

# Loaded when first asked for: the functions need neither torch nor torchmetrics.
_HOMES = {
    "AUPRO": "pixel",
    "AnomalyMetrics": "collection",
    "Curve": "curves",
    "ImageMetrics": "image",
    "PixelMetrics": "pixel",
    "StreamingPixelMetrics": "streaming",
    "ThresholdMetrics": "at_threshold",
    "aupro": "exact",
    "aupro_per_image": "exact",
    "auroc": "exact",
    "average_precision": "exact",
    "f1_max": "exact",
    "pro_curve": "curves",
    "roc_curve": "curves",
}
__all__ = [
    "AUPRO",
    "AnomalyMetrics",
    "Curve",
    "ImageMetrics",
    "PixelMetrics",
    "StreamingPixelMetrics",
    "ThresholdMetrics",
    "aupro",
    "aupro_per_image",
    "auroc",
    "average_precision",
    "f1_max",
    "pro_curve",
    "roc_curve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Images and masks: where they lie, how they become pixels, how they reach the network."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdad.data.cache import Decoded, decode
    from rdad.data.datamodule import AnomalyDataModule
    from rdad.data.formats import folder, mvtec_ad, textures
    from rdad.data.layouts import Sample, Samples
    from rdad.data.transforms import DataError, load_image

_HOME = {
    "AnomalyDataModule": "datamodule",
    "DataError": "transforms",
    "Decoded": "cache",
    "Sample": "layouts",
    "Samples": "layouts",
    "decode": "cache",
    "folder": "formats",
    "load_image": "transforms",
    "mvtec_ad": "formats",
    "textures": "formats",
}

__all__ = [
    "AnomalyDataModule",
    "DataError",
    "Decoded",
    "Sample",
    "Samples",
    "decode",
    "folder",
    "load_image",
    "mvtec_ad",
    "textures",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

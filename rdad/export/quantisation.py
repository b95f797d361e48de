"""Convolutions in 8 bits, after training."""

import contextlib
import io
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rdad.data.depth import FULL
from rdad.export.evidence import loaded

if TYPE_CHECKING:
    import openvino

    from rdad.detector.trained_model import ImageSource

_CONVOLUTIONS = {"Convolution", "GroupConvolution", "ConvolutionBackpropData"}


def quantised(
    model: "openvino.Model", images: Sequence["ImageSource"], bits: int = FULL
) -> "openvino.Model":
    """The model with the network in int8, and all around it as it was.

    Cosine distances in 8 bits would leave maps of a few levels, and a resize with 8-bit weights
    other pixels: only what lies between two convolutions is quantised.

    Args:
        images: Training images; the ranges of activations are taken from them.
        bits: How many of its bits a 16-bit grey file uses.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(images, partial(loaded, bits=bits)),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=outside_network(model), validate=False),
        )


def outside_network(model: "openvino.Model") -> list[str]:
    """Names of the nodes that are not between convolutions: resize, distances, blur, verdict."""
    kinds = {node.get_friendly_name(): node.get_type_name() for node in model.get_ordered_ops()}
    sources: dict[str, set[str]] = {name: set() for name in kinds}
    for node in model.get_ordered_ops():
        inputs = (one.get_source_output().get_node() for one in node.inputs())
        sources[node.get_friendly_name()] |= {one.get_friendly_name() for one in inputs}
    behind = {name for name, kind in kinds.items() if kind in _CONVOLUTIONS}
    before = set(behind)
    for name in kinds:  # each comes after its sources
        if sources[name] & behind:
            behind.add(name)
    for name in reversed(kinds):
        if name in before:
            before |= sources[name]
    return [name for name in kinds if kinds[name] != "Constant" and name not in behind & before]

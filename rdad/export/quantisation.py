"""Convolutions in 8 bits, after training."""

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rdad.export.evidence import loaded

if TYPE_CHECKING:
    import openvino

    from rdad.detector.trained_model import ImageSource

_CONVOLUTIONS = {"Convolution", "GroupConvolution", "ConvolutionBackpropData"}


def quantised(model: "openvino.Model", images: Sequence["ImageSource"]) -> "openvino.Model":
    """The model with the network in int8, and all around it as it was.

    Cosine distances in 8 bits would leave maps of a few levels, and a resize with 8-bit weights
    other pixels: only what lies between two convolutions is quantised.

    Args:
        images: Training images; the ranges of activations are taken from them.
    """
    import nncf

    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(images, loaded),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=outside_network(model), validate=False),
        )


def outside_network(model: "openvino.Model") -> list[str]:
    """Names of the nodes that are not between convolutions: resize, distances, blur, verdict."""
    nodes = model.get_ordered_ops()
    behind = _reached(nodes, _sources)
    before = _reached(reversed(nodes), _targets)
    operations = (node for node in nodes if node.get_type_name() != "Constant")
    names = [node.get_friendly_name() for node in operations]
    return [name for name in names if name not in behind & before]


def _reached(
    nodes: "Iterable[openvino.Node]",
    neighbours: "Callable[[openvino.Node], Iterable[openvino.Node]]",
) -> set[str]:
    """Names of the convolutions and of all that has a neighbour among those named."""
    reached: set[str] = set()
    for node in nodes:
        touched = any(one.get_friendly_name() in reached for one in neighbours(node))
        if touched or node.get_type_name() in _CONVOLUTIONS:
            reached.add(node.get_friendly_name())
    return reached


def _sources(node: "openvino.Node") -> "list[openvino.Node]":
    return [one.get_source_output().get_node() for one in node.inputs()]


def _targets(node: "openvino.Node") -> "list[openvino.Node]":
    return [one.get_node() for output in node.outputs() for one in output.get_target_inputs()]

"""The files of an export: written, and opened as a consumer would."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.export.formats import Ask, Format, Written

if TYPE_CHECKING:
    import openvino

    from rdad.detector.trained_model import ImageSource, TrainedModel


def write_export(
    folder: Path,
    chosen: Format,
    precision: str,
    trained: "TrainedModel",
    quantised_on: Sequence["ImageSource"] = (),
) -> Written:
    """Write the files of a format.

    Args:
        quantised_on: Training images that int8 takes its ranges from.
    """
    from rdad.export.graph import InspectionGraph, traced

    graph = InspectionGraph(trained.model, trained.thresholds, half=precision == "fp16")
    program, written = traced(graph), Written(folder, chosen, precision, graph.outputs)
    if chosen.name == "torch":
        from rdad.export.torch_file import write_torch

        write_torch(program, written.path)
    elif chosen.name == "onnx":
        from rdad.export.onnx_file import write_onnx

        write_onnx(program, written.path, graph.outputs)
    else:
        from rdad.export.openvino_file import write_openvino

        def changed(model: "openvino.Model") -> "openvino.Model":
            from rdad.export.evidence import loaded
            from rdad.export.quantisation import quantised

            return quantised(model, quantised_on, loaded) if precision == "int8" else model

        write_openvino(program, written.path, graph.outputs, changed=changed)
    return written


def open_export(written: Written) -> Ask:
    """The files ready for images, on the CPU, with as many threads as torch uses."""
    if written.format.name == "torch":
        from rdad.export.torch_file import open_torch

        return open_torch(written.path, written.outputs)
    if written.format.name == "onnx":
        from rdad.export.onnx_file import open_onnx

        return open_onnx(written.path)
    from rdad.export.openvino_file import open_openvino

    return open_openvino(written.path)


def run_with(chosen: Format) -> dict[str, Any]:
    """What a consumer has to set for the same answers."""
    if chosen.name != "openvino":
        return {}
    from rdad.export.openvino_file import RUN_WITH

    return RUN_WITH

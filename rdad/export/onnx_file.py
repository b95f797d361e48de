"""model.onnx: for ONNX Runtime and whatever else reads ONNX."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from rdad.export.formats import Answers, Ask, Images
from rdad.export.graph import INPUT

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def write_onnx(program: "ExportedProgram", path: Path, outputs: tuple[str, ...]) -> None:
    for talkative in ("onnx_ir", "onnxscript"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    converted = torch.onnx.export(
        program, dynamo=True, input_names=[INPUT], output_names=list(outputs), verbose=False
    )
    assert converted is not None
    converted.model.graph.metadata_props.clear()
    for node in converted.model.graph:  # where in our files it came from
        node.metadata_props.clear()
    converted.save(path, external_data=False)


def open_onnx(path: Path) -> Ask:
    """The written file in ONNX Runtime, on the CPU, with as many threads as torch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = [one.name for one in session.get_outputs()]

    def ask(images: Images) -> Answers:
        found = session.run(outputs, {INPUT: images})
        return {name: np.asarray(values) for name, values in zip(outputs, found, strict=True)}

    return ask

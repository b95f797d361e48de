"""model.xml and model.bin: for OpenVINO."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rdad.export.formats import Answers, Ask, Images, without_telemetry
from rdad.export.onnx_file import write_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    import openvino
    from torch.export import ExportedProgram

# Else OpenVINO computes in bfloat16 or float16 where the processor can, and maps differ by
# hundredths. A file cannot ask for it, so that who opens it has to.
RUN_WITH = {"EXECUTION_MODE_HINT": "ACCURACY"}


def write_openvino(
    program: "ExportedProgram",
    path: Path,
    outputs: tuple[str, ...],
    *,
    changed: "Callable[[openvino.Model], openvino.Model]",
) -> None:
    """Write what OpenVINO reads.

    Args:
        changed: What is done to the model before it is written, as quantisation.
    """
    without_telemetry()
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        write_onnx(program, onnx, outputs)
        model = openvino.Core().read_model(onnx)
        # the program has its precision already; the default here is half precision
        openvino.save_model(changed(model), path, compress_to_fp16=False)


def open_openvino(path: Path, properties: dict[str, Any] = RUN_WITH) -> Ask:
    """The written file in OpenVINO, on the CPU, with as many threads as torch uses."""
    without_telemetry()
    import openvino

    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    model = openvino.Core().compile_model(path, "CPU", threads | properties)

    def ask(images: Images) -> Answers:
        return {output.any_name: values for output, values in model(images).items()}

    return ask

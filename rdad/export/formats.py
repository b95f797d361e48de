"""What an export may be, and how each format is written and opened. Imports nothing slow."""

import logging
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rdad.config.mistakes import ConfigError
from rdad.data.depth import FULL
from rdad.export.quantisation import quantised

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from rdad.detector.trained_model import ImageSource

Answers: TypeAlias = dict[str, NDArray[Any]]  # by the names in rdad.export.graph
Ask: TypeAlias = Callable[[NDArray[np.uint8]], Answers]  # of images (B, H, W, 3), RGB

INPUT = "images"


@dataclass(frozen=True)
class Export(ABC):
    """A trained network in the files of a format.

    Attributes:
        outputs: The names of what it gives.
        bits: How many of its bits a 16-bit grey file uses.
        files: A consumer opens the first; the others lie beside it.
        run_with: What a consumer has to set for the same answers.
    """

    folder: Path
    precision: str
    outputs: tuple[str, ...]
    bits: int = FULL

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16")
    needed: ClassVar[tuple[str, ...]] = ()
    run_with: ClassVar[dict[str, str]] = {}

    @classmethod
    def packages(cls, precision: str) -> tuple[str, ...]:
        """What has to be installed to write it."""
        return cls.needed + (("nncf",) if precision == "int8" else ())

    @property
    def path(self) -> Path:
        """What a consumer opens."""
        return self.folder / self.files[0]

    @abstractmethod
    def write(self, program: "ExportedProgram", training: Sequence["ImageSource"]) -> None:
        """Write the files; in int8 with the ranges that `training` images show."""

    @abstractmethod
    def open(self, *, hinted: bool = True) -> Ask:
        """The files ready for images, on the CPU, with as many threads as torch uses.

        Args:
            hinted: Whether as `run_with` says.
        """


class Onnx(Export):
    """For ONNX Runtime and whatever else reads ONNX."""

    name = "onnx"
    files = ("model.onnx",)
    needed = ("onnx", "onnxscript", "onnxruntime")

    def write(self, program: "ExportedProgram", training: Sequence["ImageSource"]) -> None:
        import torch

        for talkative in ("onnx_ir", "onnxscript"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        converted = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=[*self.outputs], verbose=False
        )
        assert converted is not None
        converted.model.graph.metadata_props.clear()
        for node in converted.model.graph:  # where in our files it came from
            node.metadata_props.clear()
        converted.save(self.path, external_data=False)

    def open(self, *, hinted: bool = True) -> Ask:
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(self.path, options, providers=providers)

        def ask(images: NDArray[np.uint8]) -> Answers:
            found = map(np.asarray, session.run(self.outputs, {INPUT: images}))
            return dict(zip(self.outputs, found, strict=True))

        return ask


class OpenVino(Export):
    """For OpenVINO, made of the ONNX file."""

    name = "openvino"
    files = ("model.xml", "model.bin")
    precisions = ("fp32", "fp16", "int8")
    needed = ("onnx", "onnxscript", "openvino")
    # Else OpenVINO computes in bfloat16 or float16 where the processor can, and maps differ by
    # hundredths. A file cannot ask for it, so that who opens it has to.
    run_with: ClassVar[dict[str, str]] = {"EXECUTION_MODE_HINT": "ACCURACY"}

    def write(self, program: "ExportedProgram", training: Sequence["ImageSource"]) -> None:
        openvino = _without_telemetry()
        with tempfile.TemporaryDirectory() as folder:
            onnx = Onnx(Path(folder), self.precision, self.outputs)
            onnx.write(program, training)
            model = openvino.Core().read_model(onnx.path)
            if self.precision == "int8":
                model = quantised(model, training, self.bits)
            # the program has its precision already; the default here is half precision
            openvino.save_model(model, self.path, compress_to_fp16=False)

    def open(self, *, hinted: bool = True) -> Ask:
        import torch

        properties = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        properties |= self.run_with if hinted else {}
        model = _without_telemetry().Core().compile_model(self.path, "CPU", properties)
        return lambda images: {one.any_name: values for one, values in model(images).items()}


def _without_telemetry() -> ModuleType:
    """OpenVINO, which with NNCF is kept from reporting what is done here.

    Both send usage data when `openvino_telemetry` can be imported, and do without it if not.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class Torch(Export):
    """For torch.export.load, which runs no code of the file's."""

    name = "torch"
    files = ("model.pt2",)

    def write(self, program: "ExportedProgram", training: Sequence["ImageSource"]) -> None:
        import torch

        with warnings.catch_warnings():  # of weights that are stored with channels last
            warnings.filterwarnings("ignore", message="No complete tensor found")
            torch.export.save(program, self.path)

    def open(self, *, hinted: bool = True) -> Ask:
        import torch

        network = torch.export.load(self.path).module()

        def ask(images: NDArray[np.uint8]) -> Answers:
            with torch.inference_mode():
                found = network(torch.tensor(images))
            return {name: one.numpy() for name, one in zip(self.outputs, found, strict=True)}

        return ask


FORMATS: dict[str, type[Export]] = {one.name: one for one in (Onnx, OpenVino, Torch)}


def checked_format(name: str, precision: str) -> type[Export]:
    """The format of that name, if it can be written here.

    Raises:
        ConfigError: there is no such format, not in this precision, or packages are missing.
    """
    if name not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}; found {name!r}")
    chosen = FORMATS[name]
    if precision not in chosen.precisions:
        allowed = ", ".join(chosen.precisions)
        raise ConfigError(
            f"precision of format={name} must be one of {allowed}; found {precision!r}"
        )
    if missing := [one for one in chosen.packages(precision) if find_spec(one) is None]:
        raise ConfigError(
            f"format={name} precision={precision} needs {', '.join(missing)}, not installed here; "
            "pip install 'rdad[export]' installs all that exports need"
        )
    return chosen

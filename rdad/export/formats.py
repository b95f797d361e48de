"""Which files there are and what each needs. Imports nothing slow."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rdad.config.compose import ConfigError

Images: TypeAlias = NDArray[np.uint8]  # (B, H, W, 3), RGB
Answers: TypeAlias = dict[str, NDArray[Any]]  # by the names in rdad.export.graph
Ask: TypeAlias = Callable[[Images], Answers]


@dataclass(frozen=True)
class Format:
    """`file` is what a consumer opens; `weights`, if there is one, lies beside it."""

    name: str
    file: str
    weights: str | None
    precisions: tuple[str, ...]
    _packages: tuple[str, ...]

    def packages(self, precision: str) -> tuple[str, ...]:
        """What has to be installed to write it."""
        return self._packages + (("nncf",) if precision == "int8" else ())

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,) if self.weights is None else (self.file, self.weights)


@dataclass(frozen=True)
class Written:
    """The files of an export; `outputs` names what they give."""

    folder: Path
    format: Format
    precision: str
    outputs: tuple[str, ...]

    @property
    def path(self) -> Path:
        """What a consumer opens."""
        return self.folder / self.format.file

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by file."""
        return {name: (self.folder / name).stat().st_size for name in self.format.files}


_TO_ONNX = ("onnx", "onnxscript")
FORMATS = {
    one.name: one
    for one in (
        Format("onnx", "model.onnx", None, ("fp32", "fp16"), (*_TO_ONNX, "onnxruntime")),
        Format(
            "openvino", "model.xml", "model.bin", ("fp32", "fp16", "int8"), (*_TO_ONNX, "openvino")
        ),
        Format("torch", "model.pt2", None, ("fp32", "fp16"), ()),
    )
}


def checked_format(name: str, precision: str) -> Format:
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


def without_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting what is done here.

    Both send usage data when `openvino_telemetry` can be imported, and do without it if not.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

"""What this machine can do at most: a large matrix product, and a copy."""

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from rdad.benchmark.clock import Task, seconds_of
from rdad.detector.device import has_bf16
from rdad.model.precision import FLOAT32

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
_SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices
_COPIED_BYTES = 2**28
_CALLS = 6


@dataclass(frozen=True)
class Machine:
    """What was measured of the device.

    Attributes:
        gflop_s: By precision: "float32", and "bf16" where the device has instructions for it.
        copy_gb_s: Reading and writing both count.
    """

    device: str
    name: str
    threads: int
    torch: str
    python: str
    gflop_s: dict[str, float]
    copy_gb_s: float


def measure_machine(device: torch.device) -> Machine:
    side = _SIDES[device.type]
    speeds = {}
    for name, dtype in DTYPES.items():
        if name != FLOAT32 and not has_bf16(device):
            continue
        a, b = torch.randn(2, side, side, device=device).to(dtype)
        best = _best(lambda a=a, b=b: a @ b, device)
        speeds[name] = 2 * side**3 / best / 1e9
    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = _best(lambda: target.copy_(source), device)
    return Machine(
        device=device.type,
        name=_name(device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
        gflop_s=speeds,
        copy_gb_s=2 * _COPIED_BYTES / copied / 1e9,
    )


def _best(task: Task, device: torch.device) -> float:
    """Seconds of the quickest call: what the machine can do when nothing disturbs it."""
    return min(seconds_of(task, device) for _ in range(_CALLS))


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    described = Path("/proc/cpuinfo")  # Linux
    lines = described.read_text(encoding="utf-8").splitlines() if described.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())

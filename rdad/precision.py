"""The arithmetic that a network is run in. Imports nothing slow."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Precision = Callable[[], AbstractContextManager[object]]

FLOAT32, BF16 = "float32", "bf16"
OF_LIGHTNING = {"32-true": FLOAT32, "bf16-mixed": BF16}
IN_LIGHTNING = {ours: theirs for theirs, ours in OF_LIGHTNING.items()}


def checked_precision(name: str) -> str:
    """Raises ValueError where it is none of ours."""
    if name not in OF_LIGHTNING.values():
        raise ValueError(f"precision is {name!r}; allowed: {', '.join(OF_LIGHTNING.values())}")
    return name


def computing_in(precision: str, device: "torch.device") -> Precision:
    """The context of a forward pass, as Lightning has it in training and test."""
    import torch

    if precision == FLOAT32:
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16)


def has_bf16(device: "torch.device") -> bool:
    """Whether it has instructions for that; without, float32 is 2 to 3 times as quick on a CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # where torch tells
    return bool(known.get("avx512_bf16"))

"""What a network is computed on, and in which arithmetic."""

from contextlib import nullcontext
from functools import partial

import torch

from rdad.config.mistakes import ConfigError
from rdad.model.precision import FLOAT32, Precision


def chosen_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    Raises:
        ConfigError: the name is none, or torch sees no such GPU.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    allowed = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    if name not in allowed:
        seen = f"{gpus} GPU{'s' * (gpus != 1)}" if gpus else "no GPU"
        raise ConfigError(
            f"device={name}, and torch sees {seen}; allowed here: auto, {', '.join(allowed)}"
        )
    return torch.device(name)


def computing_in(precision: str, device: torch.device) -> Precision:
    """The context of a forward pass, as Lightning has it in training and test."""
    if precision == FLOAT32:
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16)


def has_bf16(device: torch.device) -> bool:
    """Whether it has instructions for that; without, float32 is 2 to 3 times as quick on a CPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # where torch tells
    return bool(known.get("avx512_bf16"))

"""Which device `device=...` of a command means."""

from typing import TYPE_CHECKING

from rdad.config import ConfigError

if TYPE_CHECKING:
    import torch


def chosen_device(name: str) -> "torch.device":
    """The device of that name; `auto` is a GPU where there is one.

    Raises:
        ConfigError: the name is none, or torch sees no such GPU.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    allowed = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    if name not in allowed:
        seen = f"{gpus} GPUs" if gpus else "no GPU"
        raise ConfigError(
            f"device={name}, and torch sees {seen}; allowed here: auto, {', '.join(allowed)}"
        )
    return torch.device(name)

"""The arithmetic that a network is run in, by its names. Imports nothing slow."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Precision = Callable[[], AbstractContextManager[object]]

FLOAT32, BF16 = "float32", "bf16"
AUTO = "auto"  # bf16 where the machine has instructions for it, else float32
OF_LIGHTNING = {"32-true": FLOAT32, "bf16-mixed": BF16}
IN_LIGHTNING = {ours: theirs for theirs, ours in OF_LIGHTNING.items()}


def checked_precision(name: str) -> str:
    """Raises ValueError where it is none of ours."""
    if name not in OF_LIGHTNING.values():
        raise ValueError(f"precision is {name!r}; allowed: {', '.join(OF_LIGHTNING.values())}")
    return name

"""What moves the weights: optimisers by their names, and how the learning rate goes."""

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import nn

OptimizerName = Literal["adam", "adamw"]
ScheduleName = Literal["constant", "cosine", "step"]

LOWEST = 0.1  # of the learning rate, where a schedule ends: Dinomaly's 2e-3 to 2e-4, ADer's step
STEP_AT = 0.8  # of the training: ADer's configurations of Reverse Distillation


def optimizer_of(
    name: OptimizerName, parameters: Iterable[nn.Parameter], **options: Any
) -> torch.optim.Optimizer:
    """The optimiser of that name over the parameters.

    Args:
        options: lr, betas and weight_decay: with `adam` a part of the gradient, else decoupled.

    Raises:
        ValueError: unknown name.
    """
    if name == "adam":
        return torch.optim.Adam(parameters, fused=True, **options)
    if name == "adamw":
        return torch.optim.AdamW(parameters, fused=True, **options)
    raise ValueError(f"optimizer must be adam or adamw; found {name!r}")


def lr_factor(step: int, *, schedule: ScheduleName, warmup_steps: int, steps: float) -> float:
    """What the learning rate of a step is multiplied with, from 0 to 1.

    It rises in equal parts to 1 at the last of `warmup_steps`. From there `constant` stays at 1,
    `cosine` falls along half a cosine to LOWEST, `step` falls to LOWEST at STEP_AT of all steps.

    Args:
        step: Counted from 0.
        steps: How many there are in all; of no consequence for the first one.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "step":
        return LOWEST if step >= STEP_AT * steps else 1
    if schedule == "cosine":
        done = min((step - warmup_steps) / max(steps - warmup_steps, 1), 1)
        return LOWEST + (1 - LOWEST) * (1 + math.cos(math.pi * done)) / 2
    return 1

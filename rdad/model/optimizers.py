"""What moves the weights: optimisers by their names, and how the learning rate goes."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from rdad.model.names import OptimizerName, ScheduleName

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
    if name == "stable_adamw":
        return StableAdamW(parameters, **options)
    raise ValueError(
        f"optimizer must be one of {', '.join(get_args(OptimizerName))}; found {name!r}"
    )


class StableAdamW(torch.optim.Optimizer):
    """AdamW that goes slowly where a gradient is larger than those before it let expect.

    The step of a tensor is divided by the root mean square of its gradient over Adam's root of
    the squares' mean, where that is above 1; the decay of the weights is not.

    Source: Wortsman et al., NeurIPS 2023 (arXiv 2304.13013), as Dinomaly's program has it, but
    without its amsgrad.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0,
        eps: float = 1e-8,
    ) -> None:
        options = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "eps": eps}
        super().__init__(parameters, options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; gives what `closure` gives, which computes the gradients anew."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    self._move(weights, weights.grad, group)
        return loss

    def _move(self, weights: Tensor, gradient: Tensor, group: Mapping[str, Any]) -> None:
        state, (beta1, beta2), lr = self.state[weights], group["betas"], group["lr"]
        if not state:
            state.update(step=0, mean=torch.zeros_like(weights), square=torch.zeros_like(weights))
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - beta1) / (1 - beta1 ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - beta2) / (1 - beta2 ** state["step"])
        root = square.sqrt_().add_(group["eps"])
        surprise = (gradient / root).square_().mean().sqrt_()
        weights.mul_(1 - lr * group["weight_decay"])
        weights.sub_(mean.div_(root).mul_(lr / surprise.clamp_min_(1)))


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

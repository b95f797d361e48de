"""Optimisers against slow ones in numpy, and the learning rate against its formula by hand."""

import math
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from small_networks import module, pixels
from torch.utils.data import DataLoader

from rdad.model.optimizers import lr_factor, optimizer_of

OPTIONS: dict[str, Any] = {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}
STEPS = 7

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*{words}")
    for words in ("no `val_dataloader`", "LeafSpec", "in eval mode at the start of training")
]


def gradients() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=(3, 2)) * 10.0 ** random.integers(-3, 2) for _ in range(STEPS)]


def slow_steps(name: str) -> np.ndarray:
    """Kingma & Ba's algorithm 1, Loshchilov & Hutter's 2 and Wortsman's 2, in float64."""
    lr, (beta1, beta2), decay = OPTIONS["lr"], OPTIONS["betas"], OPTIONS["weight_decay"]
    weights, mean, square = np.ones((3, 2)), np.zeros((3, 2)), np.zeros((3, 2))
    for step, gradient in enumerate(gradients(), 1):
        if name == "adam":
            gradient = gradient + decay * weights  # noqa: PLW2901
        else:
            weights = weights * (1 - lr * decay)
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        root = np.sqrt(square / (1 - beta2**step)) + 1e-8
        slower = max(1.0, math.sqrt(((gradient / root) ** 2).mean()))
        rate = lr / slower if name == "stable_adamw" else lr
        weights = weights - rate * mean / (1 - beta1**step) / root
    return weights


@pytest.mark.parametrize("name", ["adam", "adamw", "stable_adamw"])
def test_an_optimiser_steps_as_a_slow_one(name: Any) -> None:
    weights = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = optimizer_of(name, [weights], **OPTIONS)
    for gradient in gradients():
        weights.grad = torch.from_numpy(gradient).float()
        optimizer.step()
    np.testing.assert_allclose(weights.detach().numpy(), slow_steps(name), rtol=1e-5, atol=1e-6)


def test_a_stable_step_is_shorter_where_a_gradient_surprises() -> None:
    steps = {name: slow_steps(name) for name in ("adamw", "stable_adamw")}
    assert abs(steps["adamw"] - steps["stable_adamw"]).max() > 1e-3


def test_an_unknown_optimiser_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="adam, adamw, stable_adamw; found 'sgd'"):
        module(optimizer="sgd").configure_optimizers()


def factors(schedule: Any, steps: int, warmup_steps: int = 0) -> list[float]:
    given = {"schedule": schedule, "warmup_steps": warmup_steps, "steps": steps}
    return [lr_factor(step, **given) for step in range(steps)]


def test_the_learning_rate_by_hand() -> None:
    assert factors("constant", 3) == [1, 1, 1]
    assert factors("constant", 5, warmup_steps=4) == [0.25, 0.5, 0.75, 1, 1]
    assert factors("step", 10) == [1] * 8 + [0.1] * 2
    falling = [0.1 + 0.45 * (1 + math.cos(math.pi * done)) for done in (0, 0.25, 0.5, 0.75)]
    assert factors("cosine", 4) == pytest.approx(falling)
    assert factors("cosine", 6, warmup_steps=2) == pytest.approx([0.5, 1, *falling])
    assert lr_factor(4, schedule="cosine", warmup_steps=0, steps=4) == pytest.approx(0.1)


def test_a_training_shorter_than_its_warm_up_only_rises() -> None:
    assert factors("cosine", 2, warmup_steps=4) == [0.25, 0.5]


class Seen(L.Callback):
    """The learning rate of each step, and the length of its gradient."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.lengths: list[float] = []

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        (group,) = optimizer.param_groups
        found = [one.grad for one in group["params"] if one.grad is not None]
        if found:  # what the step before used
            self.lengths.append(math.hypot(*[one.norm().item() for one in found]))

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def trained(
    folder: Path, precision: Any = "32-true", trainer_clip: float | None = None, **options: Any
) -> Seen:
    """Five steps, of two in an epoch."""
    seen, batch = Seen(), {"images": pixels(), "indices": torch.arange(2)}
    trainer = L.Trainer(
        accelerator="cpu",
        precision=precision,
        gradient_clip_val=trainer_clip,
        max_epochs=-1,
        max_steps=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
        callbacks=[seen],
    )
    network = module(layers=["layer1"], **options)
    trainer.fit(network, DataLoader([batch, batch], batch_size=None))  # type: ignore[arg-type]
    assert trainer.global_step == 5
    return seen


def test_the_schedule_counts_the_steps_of_the_training(tmp_path: Path) -> None:
    seen = trained(tmp_path, schedule="cosine", warmup_steps=1)
    expected = [0.005 * factor for factor in factors("cosine", 5, warmup_steps=1)]
    assert seen.rates == pytest.approx(expected)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_gradient_is_cut_to_the_length_that_is_allowed(tmp_path: Path, precision: str) -> None:
    free = trained(tmp_path, precision).lengths
    limit = free[0] / 2
    cut = trained(tmp_path, precision, clip_norm=limit).lengths
    assert cut[0] == pytest.approx(limit, rel=1e-3)
    assert max(cut) <= limit * 1.001


def test_a_trainers_own_limit_cuts_the_gradient_too(tmp_path: Path) -> None:
    limit = trained(tmp_path).lengths[0] / 2
    assert trained(tmp_path, trainer_clip=limit).lengths[0] == pytest.approx(limit, rel=1e-3)

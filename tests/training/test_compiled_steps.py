"""Training steps through torch.compile: the same numbers, and a clear word where there is none."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from small_networks import LAYERS, SIZE, feature_maps, pixels

from rdad.config.mistakes import ConfigError
from rdad.model.lightning_model import ReverseDistillation
from rdad.model.loss import ReverseDistillationLoss
from rdad.training.callbacks import compiled_steps


@pytest.fixture(autouse=True)
def forgotten_graphs() -> Iterator[None]:
    yield
    torch.compiler.reset()


def module(layers: Sequence[str]) -> ReverseDistillation:
    torch.manual_seed(0)
    return ReverseDistillation(SIZE, "resnet18", layers, "add", 0.005, 0.5, 0.999, weights=None)


@pytest.mark.parametrize(("precision", "layers"), [("float32", LAYERS[:2]), ("bf16", LAYERS[:1])])
def test_compiled_steps_give_the_losses_and_weights_of_plain_ones(
    precision: str, layers: Sequence[str]
) -> None:
    """torch.compile's graphs run by PyTorch's own kernels, which takes no compiler."""
    plain = module(layers)
    compiled = copy.deepcopy(plain)
    compiled.compile_training(backend="aot_eager", fullgraph=True)
    losses = [trained(one, batches=(4, 4, 2), precision=precision) for one in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4 if precision == "float32" else 1e-2)
    assert losses[1][0] > losses[1][1]
    if precision == "float32":
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["hard_mining", "loose"])
def test_a_compiled_loss_sees_how_far_the_training_is(kind: Any) -> None:
    teacher, student = (feature_maps((2, 3, 8, 8), seed=seed) for seed in (1, 2))
    loss = ReverseDistillationLoss(kind)
    compiled, found = torch.compile(loss, backend="aot_eager", fullgraph=True), []
    for progress in (0.0, 0.06, 0.5):
        assert loss.follow is not None
        loss.follow(progress)
        gradients = []
        for one in (loss, compiled):
            given = student[0].clone().requires_grad_()
            one(teacher, [given]).backward()
            gradients.append(given.grad)
        torch.testing.assert_close(gradients[1], gradients[0])
        found.append(gradients[0])
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[1], found[2])


def test_a_machine_without_a_compiler_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/g++"))
    monkeypatch.setattr("torch._inductor.config.fx_graph_cache", False)
    one = module(LAYERS[:1])
    with (
        pytest.raises(ConfigError, match=r"^compile=default: .*compiler.*/nowhere/g\+\+"),
        compiled_steps(one, "default"),
    ):
        one.training_step({"images": pixels()})


def trained(one: ReverseDistillation, *, batches: tuple[int, ...], precision: str) -> list[float]:
    """The losses of a step on each batch; with other sizes graphs are made anew."""
    optimizer = one.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    losses = []
    for size in batches:
        images = pixels().repeat(2, 1, 1, 1)[:size]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = one.training_step({"images": images})
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses

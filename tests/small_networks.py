"""Small, untrained networks and made-up inputs for the tests of rdad.model."""

import copy
import functools
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from rdad.model.lightning_model import ReverseDistillation
from rdad.model.torch_model import ReverseDistillationModel

LAYERS = ("layer1", "layer2", "layer3")
SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(LAYERS, size)]
SIZE = (64, 64)
ARGUMENTS: dict[str, Any] = {
    "input_size": SIZE,
    "backbone": "resnet18",
    "layers": LAYERS,
    "anomaly_map_mode": "add",
    "lr": 0.005,
    "beta1": 0.5,
    "beta2": 0.999,
}


def module(*, seed: int = 0, **changed: Any) -> ReverseDistillation:
    torch.manual_seed(seed)
    return ReverseDistillation(**{**ARGUMENTS, "pre_trained": False, **changed})


def pixels(count: int = 2, size: Sequence[int] = SIZE, *, seed: int = 0) -> Tensor:
    """Random uint8 images (count, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *size), generator=generator, dtype=torch.uint8)


def feature_maps(*shapes: Sequence[int], seed: int = 0) -> list[Tensor]:
    """Normally distributed float32 tensors of the given shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


def untrained(
    backbone: str = "resnet18",
    size: Sequence[int] = SIZE,
    layers: Sequence[str] = LAYERS,
    mode: str = "add",
    *,
    seed: int = 0,
) -> ReverseDistillationModel:
    """A network of its own each time; the usual one is copied, as to draw weights takes a while."""
    torch.manual_seed(seed)
    if (backbone, size, layers, mode, seed) == ("resnet18", SIZE, LAYERS, "add", 0):
        return copy.deepcopy(_usual())
    return ReverseDistillationModel(backbone, size, layers, mode, pre_trained=False)


@functools.cache
def _usual() -> ReverseDistillationModel:
    with torch.device("cpu"):
        return ReverseDistillationModel("resnet18", SIZE, LAYERS, "add", pre_trained=False)


def vary_batch_norm(network: nn.Module, *, seed: int = 0) -> None:
    """Give batch norms statistics and weights unlike those they start with, as training would."""
    torch.manual_seed(seed)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Both hold the same tensors, bit for bit."""
    assert found.keys() == expected.keys()
    changed = [name for name in found if not torch.equal(found[name], expected[name])]
    assert not changed

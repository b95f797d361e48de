import copy

import pytest
import torch
from torch import nn

from rdad.model.torch_model import ReverseDistillationModel

LAYERS = ["layer1", "layer2", "layer3"]


def lived_in(backbone: str, layers: list[str]) -> ReverseDistillationModel:
    """A network whose batch norms have statistics and weights of their own."""
    torch.manual_seed(3)
    model = ReverseDistillationModel(backbone, (64, 96), layers, "add", pre_trained=False)
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.3)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return model.eval()


@pytest.mark.parametrize(
    ("backbone", "layers"),
    [
        ("resnet18", LAYERS),
        ("resnet18", ["layer2"]),
        ("resnet50", LAYERS),
        ("efficientnet_lite0", LAYERS),
    ],
)
@torch.inference_mode()
def test_maps_stay_the_same_to_rounding(backbone: str, layers: list[str]) -> None:
    model, images = lived_in(backbone, layers), torch.randint(0, 256, (2, 3, 64, 96)).byte()
    expected = model(images)
    torch.testing.assert_close(model.folded()(images), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.01


def test_no_batch_norm_is_left_in_a_resnet() -> None:
    assert not norms(lived_in("resnet18", LAYERS).folded())


def test_an_encoder_that_is_no_resnet_keeps_its_batch_norms() -> None:
    model = lived_in("efficientnet_lite0", LAYERS)
    twin = model.folded()
    assert len(norms(twin.encoder)) == len(norms(model.encoder)) > 0
    assert not norms(twin.decoder)
    assert not norms(twin.bottleneck)


def test_the_trained_network_stays_as_it_was() -> None:
    model = lived_in("resnet18", LAYERS).train()
    before = copy.deepcopy(model.state_dict())
    twin = model.folded()
    assert not twin.training
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_convolutions_stay_channels_last() -> None:
    for conv in lived_in("resnet18", LAYERS).folded().modules():
        if isinstance(conv, nn.Conv2d):
            assert conv.weight.is_contiguous(memory_format=torch.channels_last)


def norms(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]

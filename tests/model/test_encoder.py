"""The teacher: its features, and that nothing ever changes it."""

import logging
from pathlib import Path

import pytest
import timm
import torch
from small_networks import (
    LAYERS,
    assert_same,
    feature_maps,
    pixels,
    snapshot,
    untrained,
    vary_batch_norm,
)
from torch import Tensor, nn
from torchvision.models import get_model

from rdad.model.encoder import Encoder
from rdad.model.loss import ReverseDistillationLoss

CHANNELS = {
    "resnet18": [64, 128, 256],
    "resnet34": [64, 128, 256],
    "resnet50": [256, 512, 1024],
    "wide_resnet50_2": [256, 512, 1024],
    "efficientnet_lite0": [24, 40, 112],
    "mobilenetv3_small_100": [16, 24, 48],
    "convnext_nano": [80, 160, 320],
}


def test_training_the_network_leaves_the_encoder_as_it_was():
    model = untrained().train()
    before = snapshot(model.encoder)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        ReverseDistillationLoss()(*model(pixels())).backward()
        optimiser.step()
    assert_same(snapshot(model.encoder), before)
    assert all(parameter.grad is None for parameter in model.encoder.parameters())


def test_train_leaves_each_part_of_the_encoder_in_evaluation_mode():
    model = nn.ModuleDict({"inner": untrained()}).train()
    assert model["inner"].decoder.training
    assert not any(part.training for part in model["inner"].encoder.modules())
    model["inner"].encoder.train(True)
    assert not any(part.training for part in model["inner"].encoder.modules())


def test_encoder_records_no_gradient():
    encoder = Encoder("resnet18", LAYERS, None)
    images = torch.randn(1, 3, 64, 64, requires_grad=True)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(feature.requires_grad for feature in encoder(images))


@pytest.mark.parametrize("backbone", CHANNELS)
def test_features_have_the_channels_and_strides_of_the_backbone(backbone: str):
    with torch.device("meta"):  # shapes without the arithmetic
        encoder = Encoder(backbone, LAYERS, None)
        shapes = [tuple(feature.shape) for feature in encoder(torch.zeros(2, 3, 64, 96))]
    assert encoder.channels == CHANNELS[backbone]
    sides = [(64 // stride, 96 // stride) for stride in (4, 8, 16)]
    assert shapes == [
        (2, channels, *size) for channels, size in zip(CHANNELS[backbone], sides, strict=True)
    ]


@pytest.mark.parametrize("deepest", LAYERS)
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "efficientnet_lite0"])
def test_encoder_holds_nothing_past_the_deepest_layer(backbone: str, deepest: str):
    encoder = Encoder(backbone, [deepest], None)
    idle = {name for name, part in encoder.named_modules() if list(part.parameters(recurse=False))}
    for name, part in encoder.named_modules():
        part.register_forward_hook(lambda *_, name=name: idle.discard(name))
    encoder(torch.randn(1, 3, 64, 64))
    assert not idle


def test_resnet_stops_at_the_deepest_layer():
    names = [name for name, _ in Encoder("resnet18", ["layer2"], None).network.named_children()]
    assert names == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"]


def hooked_features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """What torchvision's own forward pass has at the layers' ends."""
    found: dict[str, Tensor] = {}
    for name in LAYERS:
        network.get_submodule(name).register_forward_hook(
            lambda *call, name=name: found.update({name: call[-1]})
        )
    with torch.no_grad():
        network(images)
    return [found[name] for name in LAYERS]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_features_equal_those_inside_the_whole_torchvision_network(backbone: str, tmp_path: Path):
    network = get_model(backbone, weights=None).eval()
    vary_batch_norm(network)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    encoder = Encoder(backbone, LAYERS, str(tmp_path / "weights.pth"))
    (images,) = feature_maps((2, 3, 64, 64))
    for found, expected in zip(encoder(images), hooked_features(network, images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_features_equal_those_of_timms_own_feature_extractor(tmp_path: Path):
    name = "mobilenetv3_small_100"
    network = timm.create_model(name, pretrained=False).eval()
    vary_batch_norm(network)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    extractor = timm.create_model(name, pretrained=False, features_only=True).eval()
    extractor.load_state_dict(network.state_dict(), strict=False)
    (images,) = feature_maps((2, 3, 64, 64))
    with torch.no_grad():
        by_stride = {64 // feature.shape[-1]: feature for feature in extractor(images)}
    encoder = Encoder(name, LAYERS, str(tmp_path / "weights.pth"))
    for found, stride in zip(encoder(images), (4, 8, 16), strict=True):
        torch.testing.assert_close(found, by_stride[stride], rtol=1e-5, atol=1e-5)


def test_timm_prefix_takes_timms_network_where_torchvision_has_the_name_too():
    encoder = Encoder("timm/resnet18", LAYERS, None)
    assert encoder.channels == [64, 128, 256] and encoder.mirror.projected
    assert not Encoder("resnet18", LAYERS, None).mirror.projected


def test_normalise_takes_imagenets_mean_and_deviation_by_hand():
    one_pixel = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    found = Encoder("resnet18", ["layer1"], None).normalise(one_pixel)
    by_hand = [(0 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == pytest.approx(by_hand, abs=1e-6)


def test_normalise_of_efficientnet_lite0_is_pixels_less_127_by_128():
    one_pixel = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    found = Encoder("efficientnet_lite0", ["layer1"], None).normalise(one_pixel)
    assert found.flatten().tolist() == pytest.approx([-127 / 128, 0, 1], abs=1e-6)


def test_normalise_of_a_timm_network_takes_the_values_that_timm_names():
    name = "mobilenetv3_small_100"
    named = timm.create_model(name).default_cfg
    found = Encoder(name, ["layer1"], None).normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))
    by_hand = [-m / s for m, s in zip(named["mean"], named["std"], strict=True)]
    assert found.flatten().tolist() == pytest.approx(by_hand, abs=1e-6)


def test_untrained_encoder_warns(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="rdad"):
        Encoder("resnet18", ["layer1"], None)
    assert "resnet18 is untrained" in caplog.text


def test_trained_encoder_does_not_warn(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="rdad"):
        Encoder("efficientnet_lite0", ["layer1"], "default")
    assert not caplog.records


def test_unknown_backbone_names_those_that_are_known():
    with pytest.raises(ValueError, match=r"resnet18, .*wide_resnet50_2.*timm.*found 'resnet19'"):
        Encoder("resnet19", LAYERS, None)


def test_timm_network_without_the_strides_says_which_it_has():
    with pytest.raises(ValueError, match=r"no feature maps at strides 4, 8, 16 \(it has \[16\]\)"):
        Encoder("vit_tiny_patch16_224", LAYERS, None)


def test_digest_is_the_same_for_equal_weights_alone():
    torch.manual_seed(0)
    encoder = Encoder("resnet18", ["layer1"], None)
    before = encoder.digest()
    assert encoder.digest() == before
    with torch.no_grad():
        encoder.network.get_parameter("layer1.1.conv2.weight")[0, 0, 0, 0] += 1e-3
    assert encoder.digest() != before

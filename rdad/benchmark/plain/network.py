"""The paper's network from torchvision's own blocks, in contiguous memory.

Parameters stand in the order of `rdad.model`'s, so that weights are carried over by position.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

from rdad.model.blocks import RESNET_MIRRORS, Mirror
from rdad.model.encoder import Encoder
from rdad.model.torch_model import ReverseDistillationModel


class PlainEncoder(nn.Module):
    """The whole pretrained network, run to its end; its parameters take gradients.

    Called with images (B, 3, H, W), it gives the features at strides 4, 8 and 16.
    """

    def __init__(self, backbone: str, encoder: Encoder) -> None:
        super().__init__()
        self.is_resnet = backbone in RESNET_MIRRORS
        self.network: Any
        if self.is_resnet:
            self.network = get_model(backbone, weights=None)
            self.network.load_state_dict(encoder.network.state_dict(), strict=False)
        else:
            import timm

            known: Any = encoder.network
            self.indices = known.indices
            self.network = timm.create_model(known.timm_name, pretrained=False)
            self.network.load_state_dict(known.network.state_dict(), strict=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        if not self.is_resnet:
            return self.network.forward_intermediates(  # not stopped early: to the last stage
                images, indices=self.indices, output_fmt="NCHW", intermediates_only=True
            )
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
        layer1 = net.layer1(x)
        layer2 = net.layer2(layer1)
        layer3 = net.layer3(layer2)
        net.layer4(layer3)  # the authors' encoder computes it, and nobody reads it
        return [layer1, layer2, layer3]


class PlainBottleneck(nn.Module):
    """Fusion at the deepest features' resolution, and the embedding stage behind it."""

    def __init__(self, channels: Sequence[int], mirror: Mirror) -> None:
        super().__init__()
        widths = [mirror.channels(k) for k in (1, 2, 3)]
        self.project = nn.ModuleList(_projections(channels, widths, mirror))
        self.fuse = nn.ModuleList(
            [
                nn.Sequential(*_halving(widths[0]), *_halving(widths[1])),
                nn.Sequential(*_halving(widths[1])),
                nn.Sequential(),
            ]
        )
        self.embed = _stage(mirror, 3 * widths[2], planes=512, blocks=mirror.depths[3], up=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        parts = zip(self.project, self.fuse, features, strict=True)
        return self.embed(torch.cat([fuse(project(x)) for project, fuse, x in parts], 1))


class PlainDecoder(nn.Module):
    """Three stages back to the features' shapes, the shallowest features first in the result."""

    def __init__(self, channels: Sequence[int], mirror: Mirror) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            _stage(
                mirror,
                mirror.channels(k + 1),
                planes=mirror.planes(k),
                blocks=mirror.depths[3 - k],
                up=True,
            )
            for k in (3, 2, 1)
        )
        widths = [mirror.channels(k) for k in (1, 2, 3)]
        self.project = nn.ModuleList(_projections(widths, channels, mirror))

    def forward(self, embedding: Tensor) -> list[Tensor]:
        layer3 = self.stages[0](embedding)
        layer2 = self.stages[1](layer3)
        layer1 = self.stages[2](layer2)
        found = (layer1, layer2, layer3)
        return [project(x) for project, x in zip(self.project, found, strict=True)]


def copy_weights(plain: nn.Module, ours: nn.Module) -> None:
    """Give `plain` the values of `ours`, whose parameters have other names and the same order."""
    names, values = plain.state_dict(), ours.state_dict().values()
    pairs = zip(names, values, strict=True)
    plain.load_state_dict({name: value.contiguous() for name, value in pairs})


def plain_copy(
    model: ReverseDistillationModel, backbone: str
) -> tuple[PlainEncoder, PlainBottleneck, PlainDecoder]:
    """The same network with the same weights, on the model's device, the encoder in eval mode.

    Raises:
        ValueError: the model does not use all three layers, as the published recipe does.
    """
    if len(model.layers) != 3:
        raise ValueError(f"the published recipe uses layer1, layer2, layer3; found {model.layers}")
    device = model.encoder.pixel_mean.device
    channels, mirror = model.encoder.channels, model.encoder.mirror
    encoder = PlainEncoder(backbone, model.encoder).to(device).eval()
    bottleneck = PlainBottleneck(channels, mirror).to(device)
    decoder = PlainDecoder(channels, mirror).to(device)
    copy_weights(bottleneck, model.bottleneck)
    copy_weights(decoder, model.decoder)
    return encoder, bottleneck, decoder


def _halving(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(inplace=True),
    ]


def _projections(
    channels_in: Sequence[int], channels_out: Sequence[int], mirror: Mirror
) -> list[nn.Module]:
    if not mirror.projected:
        return [nn.Identity() for _ in channels_in]
    return [nn.Conv2d(a, b, 1) for a, b in zip(channels_in, channels_out, strict=True)]


def _stage(mirror: Mirror, channels_in: int, *, planes: int, blocks: int, up: bool) -> nn.Module:
    kind = BasicBlock if mirror.block_name == "basic" else Bottleneck
    width, channels = mirror.width_per_group, planes * kind.expansion
    if up:
        skip = nn.Sequential(_doubling(channels_in, channels), nn.BatchNorm2d(channels))
        first = kind(channels_in, planes, 1, skip, base_width=width)
        changed = "conv1" if kind is BasicBlock else "conv2"
        inner = planes * width // 64 if kind is Bottleneck else channels_in
        setattr(first, changed, _doubling(inner, planes * width // 64))
    else:
        skip = nn.Sequential(conv1x1(channels_in, channels, 2), nn.BatchNorm2d(channels))
        first = kind(channels_in, planes, 2, skip, base_width=width)
    rest = [kind(channels, planes, base_width=width) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _doubling(channels_in: int, channels_out: int) -> nn.Module:
    return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False)

"""Bottleneck and decoder a second time: from torchvision's own blocks, in contiguous memory.

Parameters stand in the order of `rdad.model`'s, so that weights are carried over by position.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

from rdad.model.blocks import Mirror
from rdad.model.torch_model import ReverseDistillationModel


class TorchvisionBottleneck(nn.Module):
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
        self.embed = _stage(mirror, 3 * widths[2], 512, mirror.depths[3], up=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        parts = zip(self.project, self.fuse, features, strict=True)
        return self.embed(torch.cat([fuse(project(x)) for project, fuse, x in parts], 1))


class TorchvisionDecoder(nn.Module):
    """Three stages back to the features' shapes, the shallowest features first in the result."""

    def __init__(self, channels: Sequence[int], mirror: Mirror) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            _stage(mirror, mirror.channels(k + 1), mirror.planes(k), mirror.depths[3 - k], up=True)
            for k in (3, 2, 1)
        )
        widths = [mirror.channels(k) for k in (1, 2, 3)]
        self.project = nn.ModuleList(_projections(widths, channels, mirror))

    def forward(self, embedding: Tensor) -> list[Tensor]:
        layer3 = self.stages[0](embedding)
        layer2 = self.stages[1](layer3)
        layer1 = self.stages[2](layer2)
        pairs = zip(self.project, (layer1, layer2, layer3), strict=True)
        return [project(x) for project, x in pairs]


def second_network(model: ReverseDistillationModel) -> tuple[nn.Module, nn.Module]:
    """Bottleneck and decoder with the weights of `model`'s, which have other names."""
    known = model.encoder
    bottleneck = TorchvisionBottleneck(known.channels, known.mirror)
    decoder = TorchvisionDecoder(known.channels, known.mirror)
    for theirs, ours in ((bottleneck, model.bottleneck), (decoder, model.decoder)):
        pairs = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
        theirs.load_state_dict({name: value.contiguous() for name, value in pairs})
    return bottleneck, decoder


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


def _stage(mirror: Mirror, channels_in: int, planes: int, blocks: int, *, up: bool) -> nn.Module:
    kind = BasicBlock if mirror.block_name == "basic" else Bottleneck
    width, channels = mirror.width_per_group, planes * kind.expansion
    resized = _doubling(channels_in, channels) if up else conv1x1(channels_in, channels, 2)
    skip = nn.Sequential(resized, nn.BatchNorm2d(channels))
    first = kind(channels_in, planes, 1 if up else 2, skip, base_width=width)
    if up:
        name = "conv1" if kind is BasicBlock else "conv2"
        conv = getattr(first, name)
        setattr(first, name, _doubling(conv.in_channels, conv.out_channels))
    rest = [kind(channels, planes, base_width=width) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _doubling(channels_in: int, channels_out: int) -> nn.Module:
    return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False)

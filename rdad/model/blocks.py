"""The ResNet around an encoder: its blocks, run forwards and, for the decoder, backwards."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Resample = Literal["down", "same", "up"]


def spatial_conv(
    channels_in: int, channels_out: int, resample: Resample, *, side: int = 3
) -> nn.Module:
    """The convolution that carries a block's change of resolution: half, the same, or double."""
    if resample == "up":
        return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2, bias=False)
    stride = 2 if resample == "down" else 1
    return nn.Conv2d(channels_in, channels_out, side, stride, padding=side // 2, bias=False)


def skip_connection(channels_in: int, channels_out: int, resample: Resample) -> nn.Module:
    if resample == "same" and channels_in == channels_out:
        return nn.Identity()
    conv = spatial_conv(channels_in, channels_out, resample, side=1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a skip: (B, C_in, H, W) -> (B, planes, H', W').

    `width_per_group` has no effect, as in ResNet: only bottleneck blocks come wide.
    """

    expansion = 1

    def __init__(
        self, channels_in: int, planes: int, *, resample: Resample, width_per_group: int
    ) -> None:
        super().__init__()
        self.conv1 = spatial_conv(channels_in, planes, resample)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = spatial_conv(planes, planes, "same")
        self.bn2 = nn.BatchNorm2d(planes)
        self.skip = skip_connection(channels_in, planes, resample)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        return self.relu(branch + self.skip(x))


class BottleneckBlock(nn.Module):
    """1×1, 3×3, 1×1 and a skip: (B, C_in, H, W) -> (B, 4·planes, H', W')."""

    expansion = 4

    def __init__(
        self, channels_in: int, planes: int, *, resample: Resample, width_per_group: int
    ) -> None:
        super().__init__()
        width = planes * width_per_group // 64
        channels_out = planes * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = spatial_conv(width, width, resample)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.skip = skip_connection(channels_in, channels_out, resample)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return self.relu(branch + self.skip(x))


BLOCKS = {"basic": BasicBlock, "bottleneck": BottleneckBlock}


@dataclass(frozen=True)
class Mirror:
    """The ResNet that bottleneck and decoder are built like.

    Args:
        block_name: The residual block.
        depths: Blocks in the stages layer1 to layer4.
        width_per_group: 64, or 128 in wide ResNets.
        projected: The encoder is no ResNet: its features pass a 1×1 convolution to this ResNet's
            widths before the bottleneck, and back to their own after the decoder.
    """

    block_name: Literal["basic", "bottleneck"]
    depths: tuple[int, int, int, int]
    width_per_group: int = 64
    projected: bool = False

    def planes(self, stage_number: int) -> int:
        """Planes of stage 1 (layer1) to 4 (layer4)."""
        return 64 * 2 ** (stage_number - 1)

    def channels(self, stage_number: int) -> int:
        return self.planes(stage_number) * BLOCKS[self.block_name].expansion

    def stage(
        self, channels_in: int, stage_number: int, *, blocks: int, resample: Resample
    ) -> nn.Sequential:
        """`blocks` residual blocks, the first of which changes the resolution."""
        block, planes = BLOCKS[self.block_name], self.planes(stage_number)
        stage = nn.Sequential()
        for _ in range(blocks):
            width = self.width_per_group
            stage.append(block(channels_in, planes, resample=resample, width_per_group=width))
            channels_in, resample = self.channels(stage_number), "same"
        return stage


RESNET_MIRRORS = {
    "resnet18": Mirror("basic", (2, 2, 2, 2)),
    "resnet34": Mirror("basic", (3, 4, 6, 3)),
    "resnet50": Mirror("bottleneck", (3, 4, 6, 3)),
    "wide_resnet50_2": Mirror("bottleneck", (3, 4, 6, 3), width_per_group=128),
}
OTHER_MIRROR = Mirror("basic", (2, 2, 2, 2), projected=True)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal (fan_out) convolutions; transposed ones keep torch's default."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

"""Residual blocks of ResNet, and the same blocks run backwards for the decoder."""

from typing import Literal

from torch import Tensor, nn

Resample = Literal["down", "same", "up"]
BlockName = Literal["basic", "bottleneck"]


def spatial_conv(channels_in: int, channels_out: int, resample: Resample) -> nn.Module:
    """The convolution that carries a block's change of resolution: half, the same, or double."""
    if resample == "up":
        return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2, bias=False)
    stride = 2 if resample == "down" else 1
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def skip_connection(channels_in: int, channels_out: int, resample: Resample) -> nn.Module:
    if resample == "same" and channels_in == channels_out:
        return nn.Identity()
    if resample == "up":
        conv = spatial_conv(channels_in, channels_out, "up")
    else:
        stride = 2 if resample == "down" else 1
        conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a skip: (B, C_in, H, W) -> (B, planes, H', W').

    `width_per_group` has no effect, as in ResNet: only bottleneck blocks come wide.
    """

    expansion = 1

    def __init__(
        self,
        channels_in: int,
        planes: int,
        *,
        resample: Resample = "same",
        width_per_group: int = 64,
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
        self,
        channels_in: int,
        planes: int,
        *,
        resample: Resample = "same",
        width_per_group: int = 64,
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


Block = type[BasicBlock] | type[BottleneckBlock]
BLOCKS: dict[BlockName, Block] = {"basic": BasicBlock, "bottleneck": BottleneckBlock}


def stage(
    block: Block,
    channels_in: int,
    planes: int,
    *,
    blocks: int,
    resample: Resample,
    width_per_group: int,
) -> nn.Sequential:
    """`blocks` residual blocks, the first of which changes the resolution."""
    channels_out = planes * block.expansion
    first = block(channels_in, planes, resample=resample, width_per_group=width_per_group)
    rest = [block(channels_out, planes, width_per_group=width_per_group) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal (fan_out) convolutions; transposed ones keep torch's default."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

"""OCBE: multi-scale feature fusion and one-class embedding."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rdad.model.blocks import Mirror, initialise
from rdad.model.geometry import number


def _halving_convs(channels: int, times: int) -> nn.Sequential:
    """`times` 3×3 stride-2 convolutions with batch norm and ReLU, each doubling the channels."""
    parts: list[nn.Module] = []
    for _ in range(times):
        parts += [
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(inplace=True),
        ]
        channels *= 2
    return nn.Sequential(*parts)


class Bottleneck(nn.Module):
    """Fuses the layers' features at the deepest one's resolution and compresses them.

    Called with one (B, C_k, H_k, W_k) per layer, shallowest first, it gives
    (B, C, H_deepest / 2, W_deepest / 2), C being the channels of the mirrored ResNet's stage that
    follows the deepest layer.

    Args:
        layers: Shallowest first, each once.
        channels: The encoder's channels for each layer.
        mirror: The ResNet whose stage serves as the embedding.

    Attributes:
        dropout: The share of the fused features that are left out, in training mode alone.
        feature_jitter: Of Gaussian noise on the features that come in, in training mode alone: the
            mean length at each place, as a share of the feature's own.

    Source: Deng & Li, CVPR 2022, section 3.3. The embedding stage has as many blocks as the
    ResNet's layer4 at whichever depth it stands. Dropout after Dinomaly's noisy bottleneck (Guo et
    al., CVPR 2025), jitter after UniAD (You et al., NeurIPS 2022), whose 20 / √C is 1.25 at 256.
    """

    dropout: float = 0
    feature_jitter: float = 0

    def __init__(self, layers: Sequence[str], channels: Sequence[int], mirror: Mirror) -> None:
        super().__init__()
        deepest = number(layers[-1])
        self.project = nn.ModuleList(
            nn.Conv2d(own, mirror.channels(number(layer)), 1) if mirror.projected else nn.Identity()
            for layer, own in zip(layers, channels, strict=True)
        )
        self.fuse = nn.ModuleList(
            _halving_convs(mirror.channels(number(layer)), deepest - number(layer))
            for layer in layers
        )
        fused = len(layers) * mirror.channels(deepest)
        self.embed = mirror.stage(fused, deepest + 1, blocks=mirror.depths[3], resample="down")
        initialise(self)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fused = [
            fuse(project(self._jittered(feature)))
            for fuse, project, feature in zip(self.fuse, self.project, features, strict=True)
        ]
        together = torch.cat(fused, dim=1)
        if self.training and self.dropout:
            together = F.dropout(together, self.dropout)
        return self.embed(together)  # (B, n·C, H, W) -> (B, C', H/2, W/2)

    @property
    def is_noisy(self) -> bool:
        """Whether it draws random numbers in training mode."""
        return bool(self.dropout or self.feature_jitter)

    def _jittered(self, feature: Tensor) -> Tensor:
        if not (self.training and self.feature_jitter):
            return feature
        lengths = torch.linalg.vector_norm(feature, dim=1, keepdim=True)
        share = self.feature_jitter / math.sqrt(feature.shape[1])
        return feature + torch.randn_like(feature) * lengths * share

"""The encoder mirrored: from the embedding back to the layers' features."""

from collections.abc import Sequence

from torch import Tensor, nn

from rdad.model.blocks import Mirror, initialise
from rdad.model.geometry import number


class Decoder(nn.Module):
    """Gives the encoder's features back from the bottleneck's embedding.

    Called with (B, C, H, W), it gives one tensor per layer, shallowest first, each shaped like the
    encoder's. It runs from the deepest named layer to the shallowest and puts out the named ones.

    Args:
        layers: Shallowest first, each once.
        channels: The encoder's channels for each layer.
        mirror: The ResNet that is run backwards.

    Source: Deng & Li, CVPR 2022; blocks per stage in the encoder's own order from the embedding
    outwards (3 at the deepest resolution for a ResNet50), as in the authors' de_resnet.py.
    """

    def __init__(self, layers: Sequence[str], channels: Sequence[int], mirror: Mirror) -> None:
        super().__init__()
        shallowest, deepest = number(layers[0]), number(layers[-1])
        self.layers = tuple(layers)
        self.stages = nn.ModuleDict(
            {
                f"layer{k}": mirror.stage(
                    mirror.channels(k + 1), k, blocks=mirror.depths[3 - k], resample="up"
                )
                for k in range(deepest, shallowest - 1, -1)
            }
        )
        self.project = nn.ModuleDict(
            {
                layer: nn.Conv2d(mirror.channels(number(layer)), own, 1)
                for layer, own in zip(layers, channels, strict=True)
                if mirror.projected
            }
        )
        initialise(self)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        outputs: dict[str, Tensor] = {}
        x = embedding
        for layer, layer_stage in self.stages.items():
            x = layer_stage(x)
            if layer in self.layers:
                outputs[layer] = self.project[layer](x) if layer in self.project else x
        return [outputs[layer] for layer in self.layers]

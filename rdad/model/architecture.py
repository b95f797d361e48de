"""The shape of the network around an encoder."""

from dataclasses import dataclass

from rdad.model.blocks import BLOCKS, Block, BlockName


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

    block_name: BlockName
    depths: tuple[int, int, int, int]
    width_per_group: int = 64
    projected: bool = False

    @property
    def block(self) -> Block:
        return BLOCKS[self.block_name]

    def planes(self, stage_number: int) -> int:
        """Planes of stage 1 (layer1) to 4 (layer4)."""
        return 64 * 2 ** (stage_number - 1)

    def channels(self, stage_number: int) -> int:
        return self.planes(stage_number) * self.block.expansion


RESNET_MIRRORS = {
    "resnet18": Mirror("basic", (2, 2, 2, 2)),
    "resnet34": Mirror("basic", (3, 4, 6, 3)),
    "resnet50": Mirror("bottleneck", (3, 4, 6, 3)),
    "wide_resnet50_2": Mirror("bottleneck", (3, 4, 6, 3), width_per_group=128),
}
OTHER_MIRROR = Mirror("basic", (2, 2, 2, 2), projected=True)

"""The whole network in plain PyTorch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from rdad.model.anomaly_map import AnomalyMapGenerator
from rdad.model.bottleneck import Bottleneck
from rdad.model.decoder import Decoder
from rdad.model.encoder import DEFAULT_WEIGHTS, Encoder
from rdad.model.folding import fold_batch_norms, shallow_copy
from rdad.model.geometry import STRIDES, checked_input_size, checked_layers
from rdad.model.names import Mode
from rdad.model.rd4ad import read_rd4ad_checkpoint
from rdad.model.weights import StateDict

# For a CPU's caches: of 1, 2, 4, 8 and 16 images of 256², four were quickest for resnet18, resnet50
# and efficientnet_lite0; for wide_resnet50_2 in bf16 eight are 5 % quicker.
PIXELS_AT_ONCE = 4 * 256 * 256


class ReverseDistillationModel(nn.Module):
    """Encoder, bottleneck, decoder and anomaly map.

    Called with images (B, 3, H, W), uint8 pixels or floats normalised as the encoder's training
    images were (`encoder.normalise`). In training mode it gives the encoder's and the decoder's
    features, two lists of (B, C_k, H_k, W_k); in evaluation mode the anomaly maps (B, 1, H, W),
    raw and smoothed, of which pixels that are False in `valid` (B, 1, H, W) have no part.

    Args:
        backbone: resnet18, resnet34, resnet50, wide_resnet50_2, efficientnet_lite0, 1 or 2, or
            the name of a timm network; or a network of one's own, see `Encoder`.
        input_size: (height, width) of the images, multiples of twice the deepest layer's stride.
        layers: One or more of layer1, layer2, layer3; order and duplicates do not matter.
        anomaly_map_mode: How the layers' distances are joined, `add` or `multiply`.
        pre_trained: False leaves the encoder untrained.
        weights: Name of a torchvision weights entry or a file; None is the encoder's own default
            (IMAGENET1K_V1 for ResNets). Or the state dict of another model's `encoder.network`.
        sigma: Standard deviation of the map's blur in pixels.
        score_share: Of `anomaly_map.scores`: the share of a map's pixels that an image's score is
            the mean of; 0 is the maximum alone.

    Raises:
        ValueError: a value that is not allowed; the message names those that are.
        FileNotFoundError: weights can be neither found nor downloaded.

    Source: Deng & Li, CVPR 2022 (arXiv 2201.10703); widths and depths as in the authors' program,
    without the two modules there that take no part in the result.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        input_size: Sequence[int],
        layers: Sequence[str],
        anomaly_map_mode: Mode,
        pre_trained: bool = True,
        weights: str | Path | StateDict | None = None,
        *,
        sigma: float = 4,
        score_share: float = 0,
    ) -> None:
        super().__init__()
        self.backbone = backbone if isinstance(backbone, str) else type(backbone).__name__
        self.layers = checked_layers(layers)
        self.input_size = checked_input_size(input_size, self.layers)
        of_map = sigma, anomaly_map_mode, score_share
        self.anomaly_map = AnomalyMapGenerator(self.input_size, *of_map)
        named = str(weights) if isinstance(weights, Path) else weights
        chosen = (named or DEFAULT_WEIGHTS) if pre_trained else None
        self.encoder = Encoder(backbone, self.layers, chosen)
        channels, mirror = self.encoder.channels, self.encoder.mirror
        self.bottleneck = Bottleneck(self.layers, channels, mirror)
        self.decoder = Decoder(self.layers, channels, mirror)
        self.to(memory_format=torch.channels_last)
        if mirror.projected:
            self._check_strides()

    def _check_strides(self) -> None:
        """Networks that we do not know may refuse a size, or round their strides another way."""
        expected = [tuple(side // STRIDES[k] for side in self.input_size) for k in self.layers]
        try:
            found = [tuple(x.shape[2:]) for x in self.encoder(torch.zeros(1, 3, *self.input_size))]
        except (AssertionError, RuntimeError) as error:
            said = f"backbone {self.backbone} refuses images of {self.input_size}: {error}"
            raise ValueError(said) from error
        if found != expected:
            said = f"backbone {self.backbone} gives maps of {found}; needed are {expected}"
            raise ValueError(said)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The teacher's features of uint8 or normalised images.

        On a CPU in small parts, whose intermediate maps a cache holds: the teacher sees each image
        by itself, so to rounding this changes nothing but the time.
        """
        at_once = max(1, PIXELS_AT_ONCE // (images.shape[-2] * images.shape[-1]))
        if torch.compiler.is_compiling() or images.device.type != "cpu" or len(images) <= at_once:
            return self._encode(images)
        parts = [self._encode(part) for part in images.split(at_once)]
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]

    def _encode(self, images: Tensor) -> list[Tensor]:
        if not images.is_floating_point():
            images = self.encoder.normalise(images)
        return self.encoder(images.contiguous(memory_format=torch.channels_last))

    def decode(self, encoder_features: Sequence[Tensor]) -> list[Tensor]:
        """The student's answer to the teacher's features."""
        return self.decoder(self.bottleneck(encoder_features))

    def forward(
        self, images: Tensor, valid: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor]] | Tensor:
        encoder_features = self.encode(images)
        decoder_features = self.decode(encoder_features)
        if self.training:
            return encoder_features, decoder_features
        return self.anomaly_map(decoder_features, encoder_features, valid)

    def unblurred_maps(self, images: Tensor) -> Tensor:
        """The maps (B, 1, H, W) before the blur, as parts of a larger map that is blurred whole."""
        encoder_features = self.encode(images)
        return self.anomaly_map.unblurred(self.decode(encoder_features), encoder_features)

    def folded(self) -> Self:
        """A twin in evaluation mode that computes the same, to rounding, without batch norms.

        There each scales and shifts the channels, which the convolution before it can do on its
        way. An encoder that is no ResNet keeps its own: in networks of any make it is not known
        what stands before them. Fold anew after more training.
        """
        twin = shallow_copy(self).eval()
        fold_batch_norms(twin.bottleneck)
        fold_batch_norms(twin.decoder)
        if not twin.encoder.mirror.projected:
            fold_batch_norms(twin.encoder)
        return twin

    def load_rd4ad_checkpoint(self, path: str | Path) -> None:
        """Take bottleneck and decoder from a checkpoint of the authors' program.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file is no such checkpoint, or its network has another backbone, or
                this model does not use all three layers.
        """
        bottleneck, decoder = read_rd4ad_checkpoint(Path(path))
        parts = ((self.bottleneck, bottleneck), (self.decoder, decoder))
        for part, state_dict in parts:  # all of it, before anything is changed
            differing = _shapes(part.state_dict()) ^ _shapes(state_dict)
            if differing:
                raise ValueError(
                    f"{path} does not fit this network's {type(part).__name__.lower()}, as in "
                    f"{min(differing)[0]}; it needs the backbone it was trained with and layers "
                    f"layer1, layer2, layer3"
                )
        for part, state_dict in parts:
            part.load_state_dict(state_dict, strict=False)


def _shapes(state_dict: Mapping[str, Tensor]) -> set[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what a network computes with."""
    return {
        (name, tuple(tensor.shape))
        for name, tensor in state_dict.items()
        if not name.endswith("num_batches_tracked")
    }

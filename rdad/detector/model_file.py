"""model.pt: bottleneck, decoder, what is needed to build them again, and thresholds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from rdad.data.tiling import Tiling
from rdad.metrics.thresholds import Thresholds
from rdad.model.encoder import DEFAULT_WEIGHTS, Encoder
from rdad.model.precision import FLOAT32, checked_precision
from rdad.model.torch_model import ReverseDistillationModel
from rdad.runs.files import write_atomic

MODEL_FILE = "model.pt"
FORMAT = "rdad-model-1"

Part = TypeVar("Part")


def save_model(
    path: Path,
    model: ReverseDistillationModel,
    arguments: Mapping[str, Any],
    thresholds: Thresholds | None = None,
    tiling: Tiling | None = None,
    precision: str = FLOAT32,
) -> None:
    """Write a trained network without its encoder, which its weights' name or file gives again.

    An untrained encoder cannot be had again, so that one is written too.

    Args:
        arguments: What the network was constructed with: strings, numbers, lists of them.
        thresholds: Those of its calibration, if there was one.
        tiling: How its images are cut into tiles, if they are.
        precision: In which it is tested, FLOAT32 or BF16.
    """
    content = {
        "format": FORMAT,
        "arguments": dict(arguments),
        "encoder_digest": model.encoder.digest(),
        "bottleneck": model.bottleneck.state_dict(),
        "decoder": model.decoder.state_dict(),
        "thresholds": None if thresholds is None else thresholds.to_dict(),
        "tiling": None if tiling is None else tiling.to_dict(),
        "precision": precision,
    }
    if not arguments["pre_trained"]:
        content["encoder"] = model.encoder.network.state_dict()
    write_atomic(path, lambda draft: _save(content, draft, path))


def _save(content: Mapping[str, Any], draft: Path, path: Path) -> None:
    """torch.save, but of a full disk it says so, where torch says "unexpected pos"."""
    try:
        with draft.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:
        if isinstance(cause := error.__context__, OSError):
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def load_model(path: Path, *, weights: str | Path | None = None) -> ReverseDistillationModel:
    """The network of `save_model`, on the CPU, in evaluation mode.

    Args:
        weights: Where the encoder's weights are now, if they are not where they were.

    Raises:
        FileNotFoundError: there is no such file, or the encoder's weights are gone.
        ValueError: the file is no model of ours, or the encoder's weights are other ones.
    """
    return _built(_read(path), path, weights)


def copy_with_encoder(path: Path, copy: Path) -> None:
    """Write a file of `save_model` anew with the encoder in it: it then loads without the weights.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
        OSError: `copy` cannot be written.
    """
    content = _read(path)
    if "encoder" not in content:
        with _rebuilding(path):
            arguments = content["arguments"]
            weights = arguments["weights"] or DEFAULT_WEIGHTS
            encoder = Encoder(arguments["backbone"], arguments["layers"], weights)
        _check_encoder(encoder, content, path, source=weights)
        content["encoder"] = encoder.network.state_dict()
    write_atomic(copy, lambda draft: _save(content, draft, copy))


def _built(
    content: Mapping[str, Any], path: Path, weights: str | Path | None = None
) -> ReverseDistillationModel:
    """The network of a file's content; an encoder that is in the file needs no weights."""
    with _rebuilding(path):
        arguments = _arguments(content, weights)
        model = ReverseDistillationModel(**arguments)
        _fill(model, content)
    source = "the file itself" if "encoder" in content else arguments["weights"]
    _check_encoder(model.encoder, content, path, source=source)
    return model.eval()


@contextmanager
def _rebuilding(path: Path) -> Iterator[None]:
    """What goes wrong with a file's content becomes one message that names the file."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f"the encoder of {path} cannot be built again: {error}") from error
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error


def _check_encoder(encoder: Encoder, content: Mapping[str, Any], path: Path, source: str) -> None:
    if encoder.digest() != content.get("encoder_digest"):
        raise ValueError(f"{path} was trained with other encoder weights than {source} holds now")


def _arguments(content: Mapping[str, Any], weights: str | Path | None) -> dict[str, Any]:
    """What the network is constructed with here and now."""
    arguments = dict(content["arguments"])
    if "encoder" in content:
        return arguments | {"pre_trained": True, "weights": content["encoder"]}
    return arguments | ({"weights": str(weights)} if weights else {})


def take_trained_parts(path: Path, model: ReverseDistillationModel) -> None:
    """Fill a network that has the same encoder with the bottleneck and decoder of a file.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    content = _read(path)
    if model.encoder.digest() != content.get("encoder_digest"):
        raise ValueError(f"{path} was trained with other encoder weights")
    with _rebuilding(path):
        _fill(model, content)


def load_thresholds(path: Path) -> Thresholds | None:
    """The thresholds in a file of `save_model`; None where the network was not calibrated.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of ours, or its thresholds are damaged.
    """
    return _part(path, "thresholds", Thresholds.from_dict)


def load_tiling(path: Path) -> Tiling | None:
    """How the images of the network in a file of `save_model` are cut; None if they are not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of ours, or its tiling is damaged.
    """
    return _part(path, "tiling", Tiling.from_dict)


def load_precision(path: Path) -> str:
    """In which the network in a file of `save_model` is tested; of older files FLOAT32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of ours, or names no precision of ours.
    """
    return _part(path, "precision", checked_precision) or FLOAT32


def _part(path: Path, name: str, from_dict: Callable[[Any], Part]) -> Part | None:
    plain = _read(path, with_tensors=False).get(name)
    if plain is None:
        return None
    try:
        return from_dict(plain)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _fill(model: ReverseDistillationModel, content: Mapping[str, Any]) -> None:
    model.bottleneck.load_state_dict(content["bottleneck"])
    model.decoder.load_state_dict(content["decoder"])


def _read(path: Path, *, with_tensors: bool = True) -> dict[str, Any]:
    """What is in the file; tensors that are not wanted are mapped and cost no reading."""
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}; is it a folder of a run?")
    try:
        content: Any = torch.load(
            path, map_location="cpu", weights_only=True, mmap=not with_tensors
        )
    except Exception as error:
        raise ValueError(
            f"{path} is damaged, or holds more than tensors and plain data; it was not loaded"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no {FORMAT} file")
    return content

"""model.pt: bottleneck, decoder, what is needed to build them again, and thresholds."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from rdad.config.build import build
from rdad.config.foreign import TRUSTED, is_trusted
from rdad.data.depth import FULL, checked_bits
from rdad.data.framing import WHOLE, Framing
from rdad.data.tiling import Tiling
from rdad.detector.trained_model import TrainedModel
from rdad.metrics.thresholds import Thresholds
from rdad.model.encoder import DEFAULT_WEIGHTS, Encoder
from rdad.model.precision import FLOAT32, checked_precision
from rdad.model.torch_model import ReverseDistillationModel
from rdad.model.weights import NothingDrawn, read_plain
from rdad.runs.files import MODEL_FILE, irregular, write_atomic
from rdad.runs.names import expanded

FORMAT = "rdad-model-1"


def save_model(
    path: Path,
    model: ReverseDistillationModel,
    arguments: Mapping[str, Any],
    thresholds: Thresholds | None = None,
    tiling: Tiling | None = None,
    precision: str = FLOAT32,
    bits: int = FULL,
    framing: Framing = WHOLE,
) -> None:
    """Write a trained network without its encoder, which its weights' name or file gives again.

    An untrained encoder cannot be had again, so that one is written too.

    Args:
        arguments: What the network was constructed with: strings, numbers, lists of them.
        thresholds: Those of its calibration, if there was one.
        tiling: How its images are cut into tiles, if they are.
        precision: In which it is tested, FLOAT32 or BF16.
        bits: How many of its bits a 16-bit grey file uses.
        framing: How its images come to their size, and what of them is looked at.
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
        "bits": bits,
        "framing": None if framing == WHOLE else framing.to_dict(),
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


def load_trained_model(
    path: Path, *, name: str | None = None, weights: str | Path | None = None
) -> TrainedModel:
    """What a file of `save_model` holds, on the CPU, in evaluation mode.

    Args:
        name: For titles and messages; by default the file's, without its ending.
        weights: Where the encoder's weights are now, if they are not where they were.

    Raises:
        FileNotFoundError: there is no such file, or the encoder's weights are gone.
        ValueError: the file is no model of ours, is damaged, or the encoder's weights are other
            ones.
    """
    content = _read(path)
    with _rebuilding(path):
        arguments = _arguments(content, weights)
        with NothingDrawn():
            model = ReverseDistillationModel(**arguments)
        _fill(model, content)
    source = "the file itself" if "encoder" in content else arguments["weights"]
    _check_encoder(model.encoder, content, path, source=source)
    thresholds, tiling = content.get("thresholds"), content.get("tiling")
    framing = content.get("framing")
    try:
        return TrainedModel(
            model.eval(),
            None if thresholds is None else Thresholds.from_dict(thresholds),
            name or path.stem,
            None if tiling is None else Tiling.from_dict(tiling),
            checked_precision(content.get("precision", FLOAT32)),  # files of old do not say it
            checked_bits(content.get("bits", FULL)),
            WHOLE if framing is None else Framing.from_dict(framing),
        )
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def replace_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write a file of `save_model` anew with other thresholds; all else in it stays.

    Raises:
        FileNotFoundError, ValueError: as `load_trained_model`.
        OSError: it cannot be written.
    """
    content = _read(path) | {"thresholds": thresholds.to_dict()}
    write_atomic(path, lambda draft: _save(content, draft, path))


def copy_model(path: Path, copy: Path) -> None:
    """Copy a file of `save_model`, once it is seen to be one.

    Raises:
        FileNotFoundError, ValueError: as `load_trained_model`.
        OSError: `copy` cannot be written.
    """
    _read(path)
    shutil.copyfile(path, copy)


def copy_with_encoder(path: Path, copy: Path, *, weights: str | Path | None = None) -> None:
    """Write a file of `save_model` anew with the encoder in it: it then loads without the weights.

    Args:
        weights: Where the encoder's weights are now, if they are not where they were.

    Raises:
        FileNotFoundError, ValueError: as `load_trained_model`.
        OSError: `copy` cannot be written.
    """
    content = _read(path)
    if "encoder" not in content:
        with _rebuilding(path):
            arguments = content["arguments"]
            source = str(weights or arguments["weights"] or DEFAULT_WEIGHTS)
            backbone = _backbone(arguments["backbone"])
            with NothingDrawn():
                encoder = Encoder(backbone, arguments["layers"], source)
        _check_encoder(encoder, content, path, source=source)
        content["encoder"] = encoder.network.state_dict()
    write_atomic(copy, lambda draft: _save(content, draft, copy))


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
    arguments["backbone"] = _backbone(arguments["backbone"])
    if "encoder" in content:
        return arguments | {"pre_trained": True, "weights": content["encoder"]}
    return arguments | ({"weights": str(weights)} if weights else {})


def model_file(path: str | Path) -> Path:
    """That of a run's folder, or the file itself."""
    found = expanded(path)
    return found / MODEL_FILE if found.is_dir() else found


def take_trained_parts(path: Path, model: ReverseDistillationModel) -> None:
    """Fill a network that has the same encoder and layers with the trained parts of a file.

    Raises:
        FileNotFoundError, ValueError: as `load_trained_model`.
    """
    content = _read(path)
    with _rebuilding(path):
        layers = sorted(set(content["arguments"]["layers"]))
    if layers != sorted(model.layers):
        raise ValueError(
            f"{path} was trained on {'+'.join(layers)}, and this is {'+'.join(model.layers)}"
        )
    if model.encoder.digest() != content.get("encoder_digest"):
        raise ValueError(f"{path} was trained with other encoder weights")
    with _rebuilding(path):
        _fill(model, content)


def _backbone(stored: Any) -> Any:
    """A name as it stands; an encoder of somebody's own is made only where it is trusted."""
    if isinstance(stored, str):
        return stored
    target = str(stored["_target_"])
    if not is_trusted(target):
        raise ValueError(
            f"its encoder is {target}, which is code that rdad does not have; where you trust it, "
            f"say so by the environment variable {TRUSTED}={target.rpartition('.')[0]}"
        )
    node: Any = OmegaConf.create(stored)
    return build(node)


def _fill(model: ReverseDistillationModel, content: Mapping[str, Any]) -> None:
    model.bottleneck.load_state_dict(content["bottleneck"])
    model.decoder.load_state_dict(content["decoder"])


def _read(path: Path) -> dict[str, Any]:
    if found := irregular(path):
        raise ValueError(f"{path} is {found}, not a file")
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}; is it a folder of a run?")
    content = read_plain(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is no {FORMAT} file")
    return content

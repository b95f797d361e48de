"""Checkpoints of the authors' program (RD4AD), under the names of our modules."""

import re
from collections.abc import Mapping
from pathlib import Path

from rdad.model.weights import StateDict, is_state_dict, read_plain
from rdad.runs.files import irregular

# The authors' bn1/bn2 follow conv1/conv2, which bring layer1 down twice; bn3 follows conv3, which
# brings layer2 down once. conv4 and bn4 are never called by their forward pass.
_FUSION = {"conv1": "0.0", "bn1": "0.1", "conv2": "0.3", "bn2": "0.4", "conv3": "1.0", "bn3": "1.1"}
_UNUSED = ("conv4", "bn4")
_STAGES = {"layer1": "layer3", "layer2": "layer2", "layer3": "layer1"}  # theirs counts from deepest


def _bottleneck_name(theirs: str) -> str:
    module, _, rest = theirs.partition(".")
    if module == "bn_layer":
        return "embed." + rest.replace("downsample", "skip")
    return f"fuse.{_FUSION.get(module, module)}.{rest}"


def _decoder_name(theirs: str) -> str:
    module, _, rest = theirs.partition(".")
    return f"stages.{_STAGES[module]}." + re.sub(r"\b(upsample|downsample)\b", "skip", rest)


def read_rd4ad_checkpoint(path: Path) -> tuple[StateDict, StateDict]:
    """State dicts for `Bottleneck` and `Decoder` from {"bn": …, "decoder": …}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no such checkpoint.
    """
    if found := irregular(path):
        raise ValueError(f"{path} is {found}, not a file")
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    stored = read_plain(path, "checkpoint of tensors")
    if not isinstance(stored, Mapping) or not {"bn", "decoder"} <= set(stored):
        found = sorted(stored) if isinstance(stored, Mapping) else type(stored).__name__
        raise ValueError(f"{path} must hold the keys bn and decoder; found {found}")
    for part in ("bn", "decoder"):
        if not is_state_dict(stored[part]):
            raise ValueError(f"{path} holds no tensors by parameter name under {part}")
    bottleneck = {
        _bottleneck_name(name): tensor
        for name, tensor in stored["bn"].items()
        if name.partition(".")[0] not in _UNUSED
    }
    decoder = {
        _decoder_name(name): tensor
        for name, tensor in stored["decoder"].items()
        if name.partition(".")[0] in _STAGES
    }
    return bottleneck, decoder

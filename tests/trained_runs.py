"""Finished run folders with a real, small, untrained network, made without a training."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch
from run_folders import make_run_folder

from rdad.detector.model_file import save_model
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.model.torch_model import ReverseDistillationModel
from rdad.runs.files import MODEL_FILE

ARGUMENTS: dict[str, Any] = {
    "backbone": "resnet18",
    "input_size": [64, 64],
    "layers": ["layer1", "layer2", "layer3"],
    "anomaly_map_mode": "add",
    "pre_trained": False,
    "weights": None,
    "sigma": 4.0,
}


def make_trained_run(
    folder: Path, *, threshold: float | None = 1.2, weights: Path | None = None, **record: Any
) -> Path:
    """A run folder that `load_run` opens; with `weights`, its model.pt needs that file."""
    make_run_folder(folder, **record)
    (folder / MODEL_FILE).write_bytes(_model(threshold, weights))
    return folder


@functools.cache
def _model(threshold: float | None, weights: Path | None) -> bytes:
    """Made once, as to draw and to write the weights takes a second."""
    torch.manual_seed(0)
    arguments = ARGUMENTS | ({"pre_trained": True, "weights": str(weights)} if weights else {})
    model = ReverseDistillationModel(**arguments).eval()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, MODEL_FILE)
        save_model(path, model, arguments, thresholds(threshold))
        return path.read_bytes()


def thresholds(value: float | None) -> Thresholds | None:
    if value is None:
        return None
    one = Threshold(value, 4.0)
    return Thresholds(
        image=one,
        pixel=one,
        image_rate=0.02,
        pixel_rate=0.001,
        images=50,
        guaranteed=True,
        note="made up",
        scores=(1.0, 1.1),
    )


def make_weights(path: Path) -> Path:
    """A weights file of an untrained ResNet18."""
    from torchvision.models import get_model

    torch.manual_seed(1)
    torch.save(get_model("resnet18", weights=None).state_dict(), path)
    return path

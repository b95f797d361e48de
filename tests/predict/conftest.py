"""A small untrained network in a model file, and images to show it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rdad.detector.model_file import load_trained_model, save_model
from rdad.detector.trained_model import TrainedModel
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.model.torch_model import ReverseDistillationModel

THRESHOLDS = Thresholds(
    image=Threshold(2.0, 4.0),
    pixel=Threshold(1.75, 4.0),
    image_rate=0.02,
    pixel_rate=0.001,
    images=50,
    guaranteed=True,
    note="",
)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arguments = {
        "backbone": "resnet18",
        "input_size": [32, 32],
        "layers": ["layer1", "layer2", "layer3"],
        "anomaly_map_mode": "add",
        "pre_trained": False,
    }
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save_model(path, ReverseDistillationModel(**arguments), arguments, THRESHOLDS)
    return path


@pytest.fixture(scope="session")
def trained(model_file: Path) -> TrainedModel:
    return load_trained_model(model_file, name="small")


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """parts/left/{000..003}.png, parts/right/{000..003}.png, and in left a file that is cut off."""
    folder = tmp_path_factory.mktemp("data") / "parts"
    random = np.random.default_rng(0)
    for side in ("left", "right"):
        (folder / side).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 256, (20 + number, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / side / f"{number:03}.png")
    whole = (folder / "left" / "000.png").read_bytes()
    (folder / "left" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder

"""A small untrained network with thresholds, and images for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rdad.detector.trained_model import TrainedModel
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.model.torch_model import ReverseDistillationModel

SIZES = [(64, 96), (37, 200), (150, 90), (3, 5)]  # (height, width)


def images(count: int, size: Sequence[int]) -> NDArray[np.uint8]:
    """(count, height, width, 3): noise, each image rougher than the one before."""
    random = np.random.default_rng(count)
    grain = random.integers(0, 256, (count, *size, 3))
    share = np.linspace(0.05, 1, count)[:, None, None, None]
    return (grain * share).astype(np.uint8)


def trained_model(seed: int = 0, **of_model: Any) -> TrainedModel:
    """Its image threshold lies between the scores of `images`."""
    torch.manual_seed(seed)
    layers = ["layer1", "layer2", "layer3"]
    given = ("resnet18", (64, 96), layers, "add", False)
    model = ReverseDistillationModel(*given, **of_model).eval()
    raw = TrainedModel(model, None, "small")
    scores = sorted(one.score for one in raw.predict_batch(list(images(16, SIZES[0]))))
    threshold = Threshold(float(np.float32((scores[7] + scores[8]) / 2)), 8.0)
    thresholds = Thresholds(
        image=threshold,
        pixel=threshold,
        image_rate=0.02,
        pixel_rate=0.001,
        images=50,
        guaranteed=True,
        note="made up",
    )
    return TrainedModel(model, thresholds, "small")

"""Anomaly detection by Reverse Distillation: the network, its data, and experiments with it.

Public names are loaded when they are first used, so that `import rdad` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdad.compare import compare_runs
    from rdad.config import load_config
    from rdad.data.datamodule import AnomalyDataModule
    from rdad.experiment import RunResult, load_run, run
    from rdad.metrics import AUPRO, AnomalyMetrics
    from rdad.model.anomaly_map import AnomalyMapGenerator
    from rdad.model.lightning_model import ReverseDistillation, ReverseDistillationLightning
    from rdad.model.loss import ReverseDistillationLoss
    from rdad.model.torch_model import ReverseDistillationModel
    from rdad.model_source import open_model
    from rdad.trained_model import Prediction, TrainedModel

_HOME = {
    "AUPRO": "rdad.metrics",
    "AnomalyDataModule": "rdad.data.datamodule",
    "AnomalyMapGenerator": "rdad.model.anomaly_map",
    "AnomalyMetrics": "rdad.metrics",
    "Prediction": "rdad.trained_model",
    "ReverseDistillation": "rdad.model.lightning_model",
    "ReverseDistillationLightning": "rdad.model.lightning_model",
    "ReverseDistillationLoss": "rdad.model.loss",
    "ReverseDistillationModel": "rdad.model.torch_model",
    "RunResult": "rdad.experiment",
    "TrainedModel": "rdad.trained_model",
    "compare_runs": "rdad.compare",
    "load_config": "rdad.config",
    "load_run": "rdad.experiment",
    "open_model": "rdad.model_source",
    "run": "rdad.experiment",
}

__all__ = [
    "AUPRO",
    "AnomalyDataModule",
    "AnomalyMapGenerator",
    "AnomalyMetrics",
    "Prediction",
    "ReverseDistillation",
    "ReverseDistillationLightning",
    "ReverseDistillationLoss",
    "ReverseDistillationModel",
    "RunResult",
    "TrainedModel",
    "compare_runs",
    "load_config",
    "load_run",
    "open_model",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rdad' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

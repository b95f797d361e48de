"""A finished run, opened: its network, its configuration, and what came of it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rdad.config.foreign import read_config
from rdad.runs.files import MODEL_FILE, read_metrics
from rdad.runs.record import read_record
from rdad.runs.slow_imports import slow_imports

if TYPE_CHECKING:
    from rdad.detector.trained_model import ImageSource, Prediction, TrainedModel
    from rdad.metrics.thresholds import Thresholds
    from rdad.model.torch_model import ReverseDistillationModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRun:
    """A finished run: its network on the CPU in evaluation mode, configuration and metrics.

    Attributes:
        run_dir: None where it came out of MLflow, and no folder is to be written to.
    """

    run_dir: Path | None
    trained: "TrainedModel"
    cfg: DictConfig
    metrics: dict[str, float]
    record: dict[str, Any]

    @property
    def model(self) -> "ReverseDistillationModel":
        return self.trained.model

    @property
    def thresholds(self) -> "Thresholds | None":
        """None where no images were held back for calibration."""
        return self.trained.thresholds

    def predict(self, image: "ImageSource") -> "Prediction":
        """Score, verdict and map of one image: see `rdad.detector.trained_model.TrainedModel`.

        Raises:
            rdad.data.DataError: the image cannot be used.
        """
        return self.trained.predict(image)


def load_run(run_dir: str | Path, *, weights: str | Path | None = None) -> LoadedRun:
    """A run from its folder.

    Args:
        weights: Where the encoder's weights are now, if they are not where they were.

    Raises:
        FileNotFoundError: no run folder, or one without weights.
        ValueError: its model file is damaged or does not belong to these encoder weights, or its
            configuration would look something up on this machine.
    """
    with slow_imports():
        from rdad.detector.model_file import load_trained_model

    folder = Path(run_dir)
    record = read_record(folder, "run_name")
    cfg = read_config(folder)
    try:
        metrics = read_metrics(folder)
    except FileNotFoundError:  # interrupted before its test
        metrics = {}
    if record.get("trained") is False and "reused_from" not in record:
        log.warning(
            "%s was stopped in its training: its network is unfinished (rdad.train resume=%s)",
            folder,
            folder,
        )
    trained = load_trained_model(folder / MODEL_FILE, name=record["run_name"], weights=weights)
    return LoadedRun(folder, trained, cfg, metrics, record)

"""One run in a store that answers; every method may raise what MLflow or the network raise."""

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rdad.tracking.files import upload_files
from rdad.tracking.logged_model import log_model
from rdad.tracking.store import is_server
from rdad.tracking.tags import FOLDER_TAG, PARENT_TAG, parent_tags
from rdad.tracking.trainings import offer_training

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

Status = Literal["FINISHED", "KILLED", "FAILED"]
LONGEST_PARAMETER = 6000
LONGEST_TAG = 8000
PARAMETERS_PER_CALL = 100
DESCRIPTION_TAG = "mlflow.note.content"
HEADLINES = {
    "test/image_auroc": "image AUROC",
    "test/pixel_auroc": "pixel AUROC",
    "test/aupro": "AUPRO",
}


class OpenRun:
    """A run that takes parameters, metrics and files.

    What the run already has is not sent again, so that going on in it, or sending it a second
    time after a failure, leaves no duplicates.
    """

    def __init__(self, client: "MlflowClient", run: "Run", uri: str) -> None:
        self.client = client
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self._uri = uri
        self._parameters = set(run.data.params)
        self._steps = {
            (key, point.step)
            for key in run.data.metrics
            if not key.startswith("system/")
            for point in client.get_metric_history(self.run_id, key)
        }
        self._monitor: SystemMetricsMonitor | None = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        new = [
            Param(key, str(value)[:LONGEST_PARAMETER])
            for key, value in params.items()
            if key not in self._parameters
        ]
        for first in range(0, len(new), PARAMETERS_PER_CALL):
            self.client.log_batch(self.run_id, params=new[first : first + PARAMETERS_PER_CALL])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """One call for all. What is not finite is left out: MLflow draws it as a huge number."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [
            Metric(key, float(value), now, step)
            for key, value in metrics.items()
            if math.isfinite(value) and (key, step) not in self._steps
        ]
        if new:
            self.client.log_batch(self.run_id, metrics=new)
            self._steps.update((point.key, step) for point in new)

    def start_system_metrics(self) -> None:
        """Record the machine's load from a thread, every 10 s or as MLflow's variables say."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(
            self.run_id, tracking_uri=self._uri, resume_logging=True
        )
        self._monitor.start()

    def abandon(self) -> None:
        """Let the system metrics end by themselves, without waiting for a store that is gone."""
        if self._monitor is not None:
            self._monitor._shutdown_event.set()

    def send_files(self, run_dir: Path) -> None:
        """Copy the artifacts of `run_dir`, and the training for other machines."""
        if self._monitor is not None:
            self._monitor.finish()
        upload_files(self.client, self.run_id, run_dir)
        if is_server(self._uri):  # on this machine the run folder itself is found
            offer_training(self.client, self.run_id, run_dir)
        self.client.set_tag(self.run_id, FOLDER_TAG, str(run_dir.absolute()))

    def log_model(self, run_dir: Path) -> None:
        """The run's trained model, whole in itself.

        Raises:
            FileNotFoundError, ValueError: it cannot be put together from `run_dir`.
        """
        log_model(self.client, self.client.get_run(self.run_id), run_dir)

    def close(
        self,
        run_dir: Path,
        status: Status,
        metrics: Mapping[str, float],
        ended: datetime | None = None,
    ) -> None:
        """Describe the result, and say how the run ended."""
        self.client.set_tag(self.run_id, DESCRIPTION_TAG, _description(run_dir, metrics))
        self.client.set_terminated(self.run_id, status, _milliseconds(ended))


def _description(run_dir: Path, metrics: Mapping[str, float]) -> str:
    """Markdown at the top of the run's page: the figures that count, and where the rest lies."""
    figures = [
        f"**{name}** {'undefined' if math.isnan(metrics[key]) else format(metrics[key], '.4f')}"
        for key, name in HEADLINES.items()
        if key in metrics
    ]
    return " · ".join([*figures, f"run folder `{run_dir.absolute()}`"])


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def create_run(
    client: "MlflowClient",
    experiment_id: Callable[[], str],
    *,
    run_name: str,
    tags: Mapping[str, str],
    started: datetime | None = None,
) -> "Run":
    """A new run; a sweep's job stands below the sweep's run and in the same experiment.

    Args:
        experiment_id: Asked where no sweep decides. A parent that this store does not have is
            left out.
    """
    shown = parent_tags() | {key: value[:LONGEST_TAG] for key, value in tags.items()}
    sweep = find_run(client, shown[PARENT_TAG]) if PARENT_TAG in shown else None
    if sweep is None:
        shown.pop(PARENT_TAG, None)
    group = experiment_id() if sweep is None else sweep.info.experiment_id
    return client.create_run(group, _milliseconds(started), shown, run_name)


def go_on(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run `run_id`, running again; None if the store has no such run (any more)."""
    run = find_run(client, run_id)
    if run is not None:
        client.update_run(run_id, status="RUNNING")
    return run


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run `run_id`; None if the store never had it or it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as failure:
        if failure.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None

"""The tracker of a training: MLflow as far as it can be reached, and never a reason to stop."""

import contextlib
import logging
import math
import os
import re
import time
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rdad.runs.files import read_history
from rdad.runs.names import as_text
from rdad.runs.record import read_record
from rdad.runs.slow_imports import slow_imports
from rdad.sweep.comparison import TITLES
from rdad.tracking.files import fetch_training, offer_training, send_files, tell_data
from rdad.tracking.model_package import log_model
from rdad.tracking.store import Store, reason, shown_uri, within
from rdad.tracking.tags import FOLDER_TAG, PARENT_TAG, parent_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

log = logging.getLogger(__name__)

Status = Literal["FINISHED", "KILLED", "FAILED"]
RUN_VARIABLE = "MLFLOW_RUN_ID"
START_SECONDS = 30  # all calls of a run's start, by which a training waits for a server
LONGEST_PARAMETER = 6000
LONGEST_TAG = 8000
REFUSED_SIGNS = re.compile(r"[^\w./:\- ]")  # in names of metrics, as of defect types
PARAMETERS_PER_CALL = 100
DESCRIPTION_TAG = "mlflow.note.content"


class MlflowTracker:
    """Reports one run to an MLflow store and survives the store's death.

    No method raises because of the store. The first failure is logged as a warning and kept in
    `error`; every later call returns at once. The run folder then holds all that
    `python -m rdad.upload` needs to send the run later. `model_error` says why a model could not
    be sent though the store was there. `uri` is for connecting; `shown_uri`, without user and
    password, for all that is shown, kept or sent.

    Args:
        uri: Address of the store; a relative SQLite path counts from the current folder.
        experiment: Wins over the name that `start` is given.
        system_metrics: Also record the use of processor, memory, disk, network and GPU.
        log_model: Also send the trained model of a finished run.
        log_encoder: With its encoder, so that it is whole in itself; None means that, but of a
            sweep's jobs, whose models then need the encoder's weights where they are opened.

    Raises:
        ValueError: `uri` is nothing that MLflow can write runs to.
    """

    def __init__(
        self,
        uri: str,
        experiment: str | None = None,
        system_metrics: bool = False,
        log_model: bool = True,
        log_encoder: bool | None = None,
    ) -> None:
        self.store = Store(uri)
        self.uri, self.shown_uri = self.store.uri, str(self.store)
        self.error: str | None = None
        self.model_error: str | None = None
        self.client: MlflowClient
        self._experiment = experiment
        self._log_model, self._log_encoder = log_model, log_encoder
        self._system_metrics = system_metrics
        self._run: Run | None = None
        self._points: set[tuple[str, int]] = set()
        self._monitor: SystemMetricsMonitor | None = None

    def start(
        self,
        *,
        experiment: str,
        run_name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        run_id: str | None = None,
        started: datetime | None = None,
    ) -> None:
        """Open a run, or go on in the run `run_id` if the store still has it.

        A run that goes on keeps the parameters and metrics it has; only what it lacks is added.
        A sweep's job stands below the sweep's run and in the same experiment, whatever `experiment`
        says; a sweep that this store does not have is left out.

        Args:
            started: When the run began, if that was not now.
        """
        if RUN_VARIABLE in os.environ:
            log.warning("%s does not count: each run is one of its own in MLflow", RUN_VARIABLE)

        def begin() -> None:
            self.client = self.store.open()
            self._run = find_run(self.client, run_id)
            if self._run is None:
                self._run = self._new_run(self._experiment or experiment, run_name, tags, started)
            else:
                self.client.update_run(self._run.info.run_id, status="RUNNING")
            self._points = self._logged_points(self._run)
            self._log_params(self._run, params)

        with self.surviving("start the run"):
            with slow_imports():
                import mlflow  # noqa: F401  takes seconds that are not the server's
            if self.store.database is not None:
                begin()
            else:
                within(START_SECONDS, begin)
            if self._system_metrics:
                self._start_system_metrics(str(self.run_id))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Report the values of one step; those that are not finite are left out, which MLflow would
        draw as huge numbers. A sign that it refuses in a name becomes _."""
        run = self.open_run
        named = {REFUSED_SIGNS.sub("_", key): value for key, value in metrics.items()}
        new = {
            key: float(value)
            for key, value in named.items()
            if math.isfinite(value) and (key, step) not in self._points
        }
        if run is None or not new:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self.surviving("log metrics"):
            points = [Metric(key, value, now, step) for key, value in new.items()]
            self.client.log_batch(run.info.run_id, metrics=points)
            self._points.update((key, step) for key in new)

    def finish(
        self,
        run_dir: Path,
        status: Status,
        metrics: Mapping[str, float],
        ended: datetime | None = None,
    ) -> None:
        """Report the final metrics, copy the artifacts of `run_dir`, and close the run.

        Epochs in history.csv that the store lacks, as of a training that was taken over or of an
        attempt that another store was told of, are reported too. The run is closed also where the
        store of the artifacts fails, which is another one.

        Raises:
            ValueError: history.csv holds something else than numbers.
        """
        for figures in read_history(run_dir):
            self.log_metrics(figures, step=int(figures.pop("epoch")))
        self.log_metrics(metrics, step=0)
        if self.open_run is None:
            return
        client, run_id = self.client, self.open_run.info.run_id
        with self.surviving("copy the artifacts and close the run"):
            if self._monitor is not None:
                self._monitor.finish()
            client.set_tag(run_id, FOLDER_TAG, as_text(str(run_dir.absolute())))
            client.set_tag(run_id, DESCRIPTION_TAG, _description(run_dir, metrics))
            try:
                tell_data(client, run_id, read_record(run_dir))
                send_files(client, run_id, run_dir)
                if self.store.is_server:  # on this machine the run folder itself is found
                    offer_training(client, run_id, run_dir)
                if self._log_model and status == "FINISHED":
                    self._send_model(run_id, run_dir)
            finally:
                client.set_terminated(run_id, status, _milliseconds(ended))

    def fetch_training(self, fingerprint: str, folder: Path) -> tuple[Path, str] | None:
        """Download a training that a run on another machine offers below `folder`.

        Returns:
            Where it lies now, and its run; None if there is none, or if the store is a file.
        """
        if self.open_run is None or not self.store.is_server:
            return None
        try:
            return fetch_training(self.client, fingerprint, folder)
        except Exception as failure:  # another run's files; this one's store may be well
            log.warning("no training was taken over from %s: %s", self.store, reason(failure))
            return None

    def holds(self, run_id: str) -> bool:
        """Whether the store has this run, and has it as ended."""
        with self.surviving("look for the run"):
            run = find_run(self.store.open(), run_id)
            return run is not None and run.info.status != "RUNNING"
        return False

    @property
    def open_run(self) -> "Run | None":
        """The run, while it can be written to."""
        return self._run if self.error is None else None

    @property
    def run_id(self) -> str | None:
        """Also set when the store failed after it had made the run; None if it has none."""
        return None if self._run is None else self._run.info.run_id

    @property
    def page(self) -> str:
        """Address of this run's page; for a local store, once `ui_command` runs."""
        if self._run is None:
            return self.store.page
        run = f"experiments/{self._run.info.experiment_id}/runs/{self.run_id}"
        return f"{self.store.page}/#/{run}?workflowType=machine_learning"

    @property
    def ui_command(self) -> str:
        """What to type to see the store: a command, or for a server nothing but its address."""
        return self.store.ui_command

    def _new_run(
        self, experiment: str, run_name: str, tags: Mapping[str, str], started: datetime | None
    ) -> "Run":
        texts = {key: as_text(shown_uri(value)) for key, value in tags.items()}
        sent = parent_tags() | {key: text[:LONGEST_TAG] for key, text in texts.items()}
        sweep = find_run(self.client, sent.get(PARENT_TAG))
        if sweep is None:
            sent.pop(PARENT_TAG, None)
            group = self.store.experiment_id(self.client, experiment)
        else:
            group = sweep.info.experiment_id
        return self.client.create_run(group, _milliseconds(started), sent, run_name)

    def _logged_points(self, run: "Run") -> set[tuple[str, int]]:
        """Name and step of what the run has, so that sending it again leaves no duplicates."""
        return {
            (key, point.step)
            for key in run.data.metrics
            if not key.startswith("system/")
            for point in self.client.get_metric_history(run.info.run_id, key)
        }

    def _log_params(self, run: "Run", params: Mapping[str, Any]) -> None:
        """Send the parameters that the run does not have yet."""
        from mlflow.entities import Param

        new = [
            Param(key, str(value)[:LONGEST_PARAMETER])
            for key, value in params.items()
            if key not in run.data.params
        ]
        for first in range(0, len(new), PARAMETERS_PER_CALL):
            batch = new[first : first + PARAMETERS_PER_CALL]
            self.client.log_batch(run.info.run_id, params=batch)

    def _start_system_metrics(self, run_id: str) -> None:
        """Record the machine's load from a thread, every 10 s or as MLflow's variables say."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(run_id, tracking_uri=self.uri, resume_logging=True)
        self._monitor.start()

    def _send_model(self, run_id: str, run_dir: Path) -> None:
        """A model that cannot be put together is no failure of the store: the rest is sent."""
        try:
            run, encoder = self.client.get_run(run_id), self._log_encoder
            if encoder is None:
                encoder = PARENT_TAG not in run.data.tags
            log_model(self.client, run, run_dir, encoder=encoder)
        except (FileNotFoundError, ValueError) as error:
            self.model_error = str(error)
            log.warning("MLflow gets no model of this run: %s", error)

    @contextlib.contextmanager
    def surviving(self, doing: str) -> Iterator[None]:
        """Turn any failure into a warning: MLflow, SQLAlchemy, the network and the file system
        have an exception of their own for a store that is gone."""
        try:
            yield
        except Exception as failure:
            self.error = f"could not {doing}: {reason(failure)}"
            log.warning(
                "MLflow store %s %s. Nothing more is sent; the run folder is whole, and "
                "`python -m rdad.upload <run folder>` sends it later",
                self.store,
                self.error,
            )
            log.debug("the store's failure in full\n%s", shown_uri(traceback.format_exc()))
            if self._monitor is not None:  # it ends by itself; waiting for a dead store is long
                self._monitor._shutdown_event.set()


def _description(run_dir: Path, metrics: Mapping[str, float]) -> str:
    """Markdown at the top of the run's page: the figures that count, and where the rest lies."""
    named = {f"test/{key}": name for key, name in TITLES.items()}
    figures = [
        f"**{name}** {'undefined' if math.isnan(metrics[key]) else format(metrics[key], '.4f')}"
        for key, name in named.items()
        if key in metrics
    ]
    return " · ".join([*figures, f"run folder `{run_dir.absolute()}`"])


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def find_run(client: "MlflowClient", run_id: str | None) -> "Run | None":
    """The run `run_id`; None if the store never had it or it was deleted."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        run = client.get_run(run_id)
    except MlflowException as failure:
        if failure.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None

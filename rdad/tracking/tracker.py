"""The tracker of a training: MLflow as far as it can be reached, and never a reason to stop."""

import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rdad.tracking import store
from rdad.tracking.open_run import OpenRun, Status, create_run, find_run, go_on
from rdad.tracking.trainings import fetch_training

log = logging.getLogger(__name__)


class MlflowTracker:
    """Reports one run to an MLflow store and survives the store's death.

    No method raises because of the store. The first failure is logged as a warning and kept in
    `error`; every later call returns at once. The run folder then holds all that
    `python -m rdad.upload` needs to send the run later. `model_error` says why a model could not
    be sent though the store was there.

    Args:
        uri: Address of the store; a relative SQLite path counts from the current folder.
        experiment: Wins over the name that `start` is given.
        system_metrics: Also record the use of processor, memory, disk, network and GPU.
        log_model: Also send the trained model of a finished run, whole in itself.

    Raises:
        ValueError: `uri` is nothing that MLflow can write runs to.
    """

    def __init__(
        self,
        uri: str,
        experiment: str | None = None,
        system_metrics: bool = True,
        log_model: bool = True,
    ) -> None:
        self.uri = store.resolve_uri(uri)
        self.error: str | None = None
        self.model_error: str | None = None
        self._experiment = experiment
        self._log_model = log_model
        self._system_metrics = system_metrics
        self._run: OpenRun | None = None

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

        Args:
            started: When the run began, if that was not now.
        """
        with self._surviving("start the run"):
            client = store.open_client(self.uri)
            run = go_on(client, run_id) if run_id else None
            if run is None:
                name = self._experiment or experiment
                group = functools.partial(store.experiment_id, client, self.uri, name)
                run = create_run(client, group, run_name=run_name, tags=tags, started=started)
            self._run = OpenRun(client, run, self.uri)
            self._run.log_params(params)
            if self._system_metrics:
                self._run.start_system_metrics()

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Report the values of one step; those that are not finite are left out."""
        if self._run is None or self.error is not None:
            return
        with self._surviving("log metrics"):
            self._run.log_metrics(metrics, step)

    def finish(
        self,
        run_dir: Path,
        status: Status,
        metrics: Mapping[str, float],
        ended: datetime | None = None,
    ) -> None:
        """Report the final metrics, copy the artifacts of `run_dir`, and close the run."""
        self.log_metrics(metrics, step=0)
        if self._run is None or self.error is not None:
            return
        with self._surviving("copy the artifacts and close the run"):
            self._run.send_files(run_dir)
            if self._log_model and status == "FINISHED":
                self._send_model(self._run, run_dir)
            self._run.close(run_dir, status, metrics, ended)

    def _send_model(self, run: OpenRun, run_dir: Path) -> None:
        """A model that cannot be put together is no failure of the store: the rest is sent."""
        try:
            run.log_model(run_dir)
        except (FileNotFoundError, ValueError) as error:
            self.model_error = str(error)
            log.warning("MLflow gets no model of this run: %s", error)

    def fetch_training(self, fingerprint: str, folder: Path) -> tuple[Path, str] | None:
        """Download a training that a run on another machine offers below `folder`.

        Returns:
            Where it lies now, and its run; None if there is none, or if the store is a file.
        """
        if self._run is None or self.error is not None or not store.is_server(self.uri):
            return None
        try:
            return fetch_training(self._run.client, fingerprint, folder)
        except Exception as failure:  # another run's files; this one's store may be well
            log.warning("no training was taken over from %s: %s", self.uri, store.reason(failure))
            return None

    def holds(self, run_id: str) -> bool:
        """Whether the store has this run, and has it as ended."""
        with self._surviving("look for the run"):
            run = find_run(store.open_client(self.uri), run_id)
            return run is not None and run.info.status != "RUNNING"
        return False

    @property
    def run_id(self) -> str | None:
        """Also set when the store failed after it had made the run; None if it has none."""
        return None if self._run is None else self._run.run_id

    @property
    def shown_uri(self) -> str:
        """Address of the store, as it may be shown and kept."""
        return self.uri

    @property
    def page(self) -> str:
        """Address of this run's page; for a local store, once `ui_command` runs."""
        address = store.page_address(self.uri)
        if self._run is None:
            return address
        run = f"experiments/{self._run.experiment_id}/runs/{self._run.run_id}"
        return f"{address}/#/{run}?workflowType=machine_learning"

    @property
    def ui_command(self) -> str:
        """What to type to see the store: a command, or for a server nothing but its address."""
        return store.ui_command(self.uri)

    @contextlib.contextmanager
    def _surviving(self, doing: str) -> Iterator[None]:
        """Turn any failure into a warning: MLflow, SQLAlchemy, the network and the file system
        have an exception of their own for a store that is gone."""
        try:
            yield
        except Exception as failure:
            self.error = f"could not {doing}: {store.reason(failure)}"
            log.warning(
                "MLflow store %s %s. Nothing more is sent; the run folder is whole, and "
                "`python -m rdad.upload <run folder>` sends it later",
                self.uri,
                self.error,
            )
            log.debug("the store's failure in full", exc_info=True)
            if self._run is not None:
                self._run.abandon()

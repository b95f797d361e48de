"""The Hydra callback that keeps a sweep's run in MLflow above those of its jobs."""

import atexit
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rdad.runs.ending import end_in_order_when_terminated
from rdad.sweep.report import report
from rdad.tracking import store
from rdad.tracking.open_run import Status
from rdad.tracking.sweep import close_sweep, comparison_page, job_states, open_sweep
from rdad.tracking.tags import PARENT_VARIABLE

log = logging.getLogger(__name__)


class SweepRun(Callback):
    """A run for the sweep, in which its jobs find their parent.

    It is made before the first job, so that no two jobs meet an empty store, and closed when the
    sweep ends. Where a job fails or the sweep is stopped Hydra tells nobody, and the end of the
    process closes it. A store that cannot be reached costs a warning and nothing else.

    Args:
        uri: As of MlflowTracker.
        experiment: Where the sweep and its jobs go; None takes the name of the data.
    """

    def __init__(self, uri: str, experiment: str | None = None) -> None:
        self._uri = uri
        self._experiment = experiment
        self._run_id: str | None = None
        self._page = ""
        self._sweep_dir = Path()
        self._process = 0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._sweep_dir = Path(config.hydra.sweep.dir).absolute()
        self._process = os.getpid()
        with self._surviving("make the sweep's run"):
            self._uri = store.resolve_uri(self._uri)
            run = open_sweep(
                self._uri,
                self._sweep_dir,
                experiment=self._experiment or config.dataset._target_.rpartition(".")[2],
                swept=swept_values(config),
                overrides=list(config.hydra.overrides.task),
            )
            self._run_id = run.info.run_id
            self._page = comparison_page(self._uri, run.info.experiment_id, run.info.run_id)
            os.environ[PARENT_VARIABLE] = run.info.run_id
            atexit.register(self._stopped)
            end_in_order_when_terminated()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._close("FINISHED")

    def _stopped(self) -> None:
        """At the end of a process in which the sweep did not come to its own end."""
        states = job_states(self._sweep_dir)
        self._close("KILLED" if {"running", "interrupted"} & states.keys() else "FAILED")

    def _close(self, status: Status) -> None:
        if self._run_id is None or os.getpid() != self._process:  # a copy in a job's process
            return
        run_id, self._run_id = self._run_id, None
        atexit.unregister(self._stopped)
        os.environ.pop(PARENT_VARIABLE, None)
        report(self._sweep_dir)
        with self._surviving("close the sweep's run"):
            close_sweep(self._uri, run_id, self._sweep_dir, status)
            print(f"MLflow      {store.ui_command(self._uri)}\n            {self._page}")

    @contextlib.contextmanager
    def _surviving(self, doing: str) -> Iterator[None]:
        """As the tracker's: a store that is gone must not stop the jobs."""
        try:
            yield
        except Exception as failure:
            log.warning("MLflow store %s could not %s: %s", self._uri, doing, store.reason(failure))
            log.debug("the store's failure in full", exc_info=True)


def swept_values(config: DictConfig) -> dict[str, str]:
    """What varies over a sweep's jobs, under the last part of its key, and the values."""
    named = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [f"{key}={value}" for key, value in named.items()]
    texts += config.hydra.overrides.task  # the command line wins over a named sweep
    last = {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(texts)}
    return {
        key.rpartition(".")[2]: str(one.get_value_string())
        for key, one in last.items()
        if one.is_sweep_override()
    }

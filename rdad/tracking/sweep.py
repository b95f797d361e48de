"""A sweep's run in MLflow, above those of its jobs: told from the sweep's folder."""

import atexit
import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rdad.results.text_table import better
from rdad.runs.ending import end_in_order_when_terminated
from rdad.runs.files import write_json
from rdad.sweep.answer import answer
from rdad.sweep.comparison import job_name, metric_names, value_text
from rdad.sweep.comparison_text import counted
from rdad.sweep.jobs import Job
from rdad.sweep.plan import overrides
from rdad.sweep.report import CSV_FILE, FIGURE_FILE, HTML_FILE, PAGE_FILE, report
from rdad.tracking.files import send_file
from rdad.tracking.store import shown_uri
from rdad.tracking.tags import PARENT_VARIABLE, source_tags
from rdad.tracking.tracker import DESCRIPTION_TAG, MlflowTracker, Status

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

SWEEP_FILE = "sweep.json"
FILES = ("multirun.yaml", CSV_FILE, PAGE_FILE, FIGURE_FILE, HTML_FILE)
BEST_OF = "image_auroc"


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
        self._uri, self._experiment = uri, experiment
        self._sweep_dir = Path()
        self._tracker: MlflowTracker | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy in a job's process has no part in the run, and no connection."""
        return self.__dict__ | {"_tracker": None}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._sweep_dir = Path(config.hydra.sweep.dir).absolute()
        tracker = MlflowTracker(self._uri, self._experiment, system_metrics=False)
        params = _swept_values(config)
        tracker.start(
            experiment=config.dataset._target_.rpartition(".")[2],
            run_name=f"sweep {', '.join(params)}".strip(),
            params=params,
            tags=source_tags(config.hydra.overrides.task),
            run_id=_known_run(self._sweep_dir, tracker.shown_uri),
        )
        if tracker.open_run is None:
            return
        self._tracker, run_id = tracker, tracker.open_run.info.run_id
        known = {"uri": tracker.shown_uri, "run_id": run_id}
        write_json(self._sweep_dir / SWEEP_FILE, {"tracking": known})
        os.environ[PARENT_VARIABLE] = run_id
        atexit.register(self._end, stopped=True)
        end_in_order_when_terminated()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._end()

    def _end(self, *, stopped: bool = False) -> None:
        """Close the run; `stopped` where the process ends before the sweep."""
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return
        atexit.unregister(self._end)
        os.environ.pop(PARENT_VARIABLE, None)
        jobs = report(self._sweep_dir)
        tracker.log_metrics(_best(jobs), step=sum(job.finished for job in jobs))
        if tracker.open_run is None:
            return
        status: Status = "FINISHED"
        if stopped:
            unfinished = any(job.status in ("running", "interrupted") for job in jobs)
            status = "KILLED" if unfinished else "FAILED"
        with tracker.surviving("close the sweep's run"):
            address = _comparison(tracker.open_run)
            _close(tracker, self._sweep_dir, jobs, address, status)
            print(f"MLflow      {tracker.ui_command}\n            {tracker.store.page}/{address}")


def _known_run(sweep_dir: Path, uri: str) -> str | None:
    """The run that an earlier part of this sweep made in the same store."""
    path = sweep_dir / SWEEP_FILE
    if not path.is_file():
        return None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["tracking"]
        return str(known["run_id"]) if shown_uri(known["uri"]) == uri else None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged, and the sweep gets a new run: %r", path, error)
        return None


def _swept_values(config: DictConfig) -> dict[str, str]:
    """What varies over a sweep's jobs, under the last part of its key, and the values."""
    return {
        key.rpartition(".")[2]: str(one.get_value_string())
        for key, one in overrides(config).items()
        if one.is_sweep_override()
    }


def _close(
    tracker: MlflowTracker, sweep_dir: Path, jobs: Sequence[Job], address: str, status: Status
) -> None:
    """Tell of the jobs, copy the comparison, end the run, and name the jobs apart."""
    client, run_id = tracker.client, str(tracker.run_id)
    for name in FILES:
        if (sweep_dir / name).is_file():
            send_file(client, run_id, sweep_dir / name)
    told = [_summary(jobs), f"[compare the jobs]({address})", f"sweep folder `{sweep_dir}`"]
    client.set_tag(run_id, DESCRIPTION_TAG, " · ".join(told))
    client.set_terminated(run_id, status)
    for job_run, name in _telling_names(jobs, tracker.shown_uri).items():
        client.update_run(job_run, name=name)


def _comparison(run: "Run") -> str:
    """The address on the store's page that shows the jobs side by side.

    Sorted by a metric, because by date MLflow folds the jobs away under the sweep's run.
    """
    view = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "orderByKey": f"metrics.`test/{BEST_OF}`",
        "orderByAsc": "false",
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
    }
    return f"#/experiments/{run.info.experiment_id}/runs?{urlencode(view)}"


def _best(jobs: Sequence[Job]) -> dict[str, float]:
    """The best value of each overall metric."""
    best: dict[str, float] = {}
    for name in metric_names(jobs):
        values = [job.metrics.get(name, math.nan) for job in jobs]
        if known := [value for value in values if not math.isnan(value)]:
            best[f"best/{name}"] = better(name)(known)
    return best


def _telling_names(jobs: Sequence[Job], uri: str) -> dict[str, str]:
    """Names of the jobs' runs in this store, which begin with all that was varied.

    MLflow's charts show a run's name, cut, and none of its parameters.
    """
    names = {}
    for job in jobs:
        tracking = job.record.get("tracking") or {}
        if job.setting and tracking.get("run_id") and shown_uri(tracking["uri"]) == uri:
            varied = {value_text(value) for value in job.setting.values()}
            constant = [one for one in job.record.get("run_name", "").split() if one not in varied]
            said = [job_name(job), " ".join(constant)]
            names[tracking["run_id"]] = " · ".join(filter(None, said))
    return names


def _summary(jobs: Sequence[Job]) -> str:
    """How many jobs came how far, and the sweep's answer."""
    return " · ".join(filter(None, [counted(jobs), answer(jobs)])) if jobs else "no job has started"

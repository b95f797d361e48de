"""A sweep's run in MLflow, above those of its jobs: told from the sweep's folder."""

import atexit
import contextlib
import json
import logging
import math
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rdad.results.text_table import better
from rdad.runs.ending import end_in_order_when_terminated
from rdad.runs.files import METRICS_FILE, read_metrics, write_text_atomic
from rdad.runs.record import RECORD_FILE, read_record
from rdad.sweep.comparison import compared
from rdad.sweep.jobs import read_jobs
from rdad.sweep.plan import overrides
from rdad.sweep.report import report
from rdad.tracking.files import send_file
from rdad.tracking.store import Store, reason, shown_uri
from rdad.tracking.tags import PARENT_VARIABLE, source_tags
from rdad.tracking.tracker import (
    DESCRIPTION_TAG,
    Status,
    find_run,
    log_metrics,
    log_params,
    logged_points,
    open_run,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

SWEEP_FILE = "sweep.json"
FILES = ("multirun.yaml", "comparison.csv", "comparison.md", "comparison.png")
BEST_OF = "test/image_auroc"
IN_RUN_NAME = ("category", "backbone", "mode", "layers")


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
        self._sweep_dir = Path()
        self._process = 0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._sweep_dir = Path(config.hydra.sweep.dir).absolute()
        self._process = os.getpid()
        with self._surviving("make the sweep's run"):
            store = Store(self._uri)
            self._uri = store.uri  # a relative one counts from the folder of the start
            experiment = self._experiment or config.dataset._target_.rpartition(".")[2]
            self._run_id = _open(store, self._sweep_dir, experiment, config)
            os.environ[PARENT_VARIABLE] = self._run_id
            atexit.register(self._stopped)
            end_in_order_when_terminated()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._end("FINISHED")

    def _stopped(self) -> None:
        """At the end of a process in which the sweep did not come to its own end."""
        states = _job_states(_job_folders(self._sweep_dir))
        self._end("KILLED" if {"running", "interrupted"} & states.keys() else "FAILED")

    def _end(self, status: Status) -> None:
        if self._run_id is None or os.getpid() != self._process:  # a copy in a job's process
            return
        run_id, self._run_id = self._run_id, None
        atexit.unregister(self._stopped)
        os.environ.pop(PARENT_VARIABLE, None)
        report(self._sweep_dir)
        with self._surviving("close the sweep's run"):
            store = Store(self._uri)
            address = _close(store, run_id, self._sweep_dir, status)
            print(f"MLflow      {store.ui_command}\n            {store.page}/{address}")

    @contextlib.contextmanager
    def _surviving(self, doing: str) -> Iterator[None]:
        """As the tracker's: a store that is gone must not stop the jobs."""
        try:
            yield
        except Exception as failure:
            uri = shown_uri(self._uri)
            log.warning("MLflow store %s could not %s: %s", uri, doing, reason(failure))
            log.debug("the store's failure in full\n%s", shown_uri(traceback.format_exc()))


def _open(store: Store, sweep_dir: Path, experiment: str, config: DictConfig) -> str:
    """A run for the sweep in `sweep_dir`, or the one it has, running again; gives its id."""
    swept = _swept_values(config)
    client = store.open()
    run = open_run(
        store,
        client,
        _known_run(sweep_dir, store),
        experiment,
        f"sweep {', '.join(swept)}".strip(),
        tags=source_tags(config.hydra.overrides.task),
    )
    known = {"tracking": {"uri": str(store), "run_id": run.info.run_id}}
    write_text_atomic(sweep_dir / SWEEP_FILE, json.dumps(known, indent=2) + "\n")
    log_params(client, run, swept)
    return run.info.run_id


def _known_run(sweep_dir: Path, store: Store) -> str | None:
    """The run that an earlier part of this sweep made in the same store."""
    path = sweep_dir / SWEEP_FILE
    if not path.is_file():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))["tracking"]
    return known["run_id"] if shown_uri(known["uri"]) == str(store) else None


def _swept_values(config: DictConfig) -> dict[str, str]:
    """What varies over a sweep's jobs, under the last part of its key, and the values."""
    return {
        key.rpartition(".")[2]: str(one.get_value_string())
        for key, one in overrides(config).items()
        if one.is_sweep_override()
    }


def _close(store: Store, run_id: str, sweep_dir: Path, status: Status) -> str:
    """Tell the best figures, copy the comparison, name the jobs apart, and end the run.

    Returns:
        The address on the store's page that shows the jobs side by side.
    """
    client = store.open()
    run = find_run(client, run_id)
    if run is None:
        raise FileNotFoundError(f"the run {run_id} is gone")
    jobs = _job_folders(sweep_dir)
    tested = {job: read_metrics(job) for job in jobs if (job / METRICS_FILE).is_file()}
    best = _best(list(tested.values()))
    log_metrics(client, run, best, len(tested), logged_points(client, run))
    for name in FILES:
        if (sweep_dir / name).is_file():
            send_file(client, run_id, sweep_dir / name)
    address = _comparison(run)
    text = f"{_summary(jobs, tested)} · [compare the jobs]({address})"
    note = f"{text} · sweep folder `{sweep_dir.absolute()}`"
    client.set_tag(run_id, DESCRIPTION_TAG, note)
    for job_run, name in _telling_names(sweep_dir, store).items():
        client.update_run(job_run, name=name)
    client.set_terminated(run_id, status)
    return address


def _job_folders(sweep_dir: Path) -> list[Path]:
    """The run folders of the jobs that have started."""
    return sorted(path.parent for path in sweep_dir.rglob(RECORD_FILE))


def _job_states(jobs: Sequence[Path]) -> dict[str, int]:
    """How many jobs there are of each `status`."""
    states = [read_record(job)["status"] for job in jobs]
    return {state: states.count(state) for state in sorted(set(states))}


def _comparison(run: "Run") -> str:
    """Sorted by a metric, because by date MLflow folds the jobs away under the sweep's run."""
    view = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "orderByKey": f"metrics.`{BEST_OF}`",
        "orderByAsc": "false",
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
    }
    return f"#/experiments/{run.info.experiment_id}/runs?{urlencode(view)}"


def _best(tested: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The best value of each overall metric; those of single defect types are left out."""
    best: dict[str, float] = {}
    for metrics in tested:
        for name, value in metrics.items():
            if name.count("/") == 1 and not math.isnan(value):
                shown = name.replace("test/", "best/")
                best[shown] = better(name)([value, best.get(shown, value)])
    return best


def _telling_names(sweep_dir: Path, store: Store) -> dict[str, str]:
    """Names of the jobs' runs in this store that say all that was varied.

    MLflow's charts show a run's name and none of its parameters.
    """
    try:
        rows = compared(read_jobs([sweep_dir]))
    except FileNotFoundError:
        return {}
    names = {}
    for row in rows:
        tracking = row.job.record.get("tracking") or {}
        further = [key for key in row.setting if key not in IN_RUN_NAME]
        if further and tracking.get("run_id") and shown_uri(tracking["uri"]) == str(store):
            said = row.setting_name(without=IN_RUN_NAME)
            names[tracking["run_id"]] = f"{row.job.record['run_name']}, {said}"
    return names


def _summary(jobs: Sequence[Path], tested: Mapping[Path, Mapping[str, float]]) -> str:
    """How many jobs came how far, and the best of them, in Markdown."""
    states = ", ".join(f"{count} {state}" for state, count in _job_states(jobs).items())
    said = f"{len(jobs)} jobs: {states}" if jobs else "no job has started"
    scores = {job: metrics.get(BEST_OF, math.nan) for job, metrics in tested.items()}
    ranked = [job for job, score in scores.items() if not math.isnan(score)]
    if not ranked:
        return said
    best = max(ranked, key=lambda job: scores[job])
    return f"{said} · best **{read_record(best)['run_name']}** image AUROC {scores[best]:.4f}"

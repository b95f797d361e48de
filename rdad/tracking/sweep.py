"""What MLflow is told of a sweep: read from its folder, like everything else."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from rdad.results.text_table import better
from rdad.runs.files import METRICS_FILE, read_metrics, write_text_atomic
from rdad.runs.record import RECORD_FILE, read_record
from rdad.sweep.comparison import compared
from rdad.sweep.jobs import read_jobs
from rdad.tracking import store
from rdad.tracking.open_run import DESCRIPTION_TAG, OpenRun, Status, create_run, find_run, go_on
from rdad.tracking.tags import source_tags

if TYPE_CHECKING:
    from mlflow.entities import Run

SWEEP_FILE = "sweep.json"
FILES = ("multirun.yaml", "comparison.csv", "comparison.md", "comparison.png")
BEST_OF = "test/image_auroc"
IN_RUN_NAME = ("category", "backbone", "mode", "layers")


def open_sweep(
    uri: str,
    sweep_dir: Path,
    *,
    experiment: str,
    swept: Mapping[str, str],
    overrides: Sequence[str],
) -> "Run":
    """A run for the sweep in `sweep_dir`, or the one it has, running again.

    Args:
        swept: What varies, and its values: the parameters of the run.

    Raises:
        Whatever the store raises.
    """
    client = store.open_client(uri)
    run = go_on(client, known) if (known := _known_run(sweep_dir, uri)) else None
    if run is None:
        run = create_run(
            client,
            lambda: store.experiment_id(client, uri, experiment),
            run_name=f"sweep {', '.join(swept)}".strip(),
            tags=source_tags(overrides),
        )
    text = json.dumps({"tracking": {"uri": uri, "run_id": run.info.run_id}}, indent=2)
    write_text_atomic(sweep_dir / SWEEP_FILE, text + "\n")
    OpenRun(client, run, uri).log_params(swept)
    return run


def close_sweep(uri: str, run_id: str, sweep_dir: Path, status: Status) -> None:
    """Tell the best figures, copy the comparison, name the jobs apart, and end the run.

    Raises:
        Whatever the store raises.
    """
    client = store.open_client(uri)
    found = find_run(client, run_id)
    if found is None:
        return
    run = OpenRun(client, found, uri)
    jobs = job_folders(sweep_dir)
    tested = [read_metrics(job) for job in jobs if (job / METRICS_FILE).is_file()]
    run.log_metrics(_best(tested), step=len(tested))
    for name in FILES:
        if (sweep_dir / name).is_file():
            client.log_artifact(run_id, str(sweep_dir / name))
    client.set_tag(run_id, DESCRIPTION_TAG, _description(sweep_dir, jobs, found))
    for job_run, name in _telling_names(sweep_dir, uri).items():
        client.update_run(job_run, name=name)
    client.set_terminated(run_id, status)


def job_folders(sweep_dir: Path) -> list[Path]:
    """The run folders of the jobs that have started."""
    return sorted(path.parent for path in sweep_dir.rglob(RECORD_FILE))


def job_states(sweep_dir: Path) -> dict[str, int]:
    """How many jobs there are of each `status`."""
    states = [read_record(job)["status"] for job in job_folders(sweep_dir)]
    return {state: states.count(state) for state in sorted(set(states))}


def comparison_page(uri: str, experiment_id: str, run_id: str) -> str:
    """The page that shows the jobs side by side, the best first."""
    return f"{store.page_address(uri)}/{_comparison(experiment_id, run_id)}"


def _comparison(experiment_id: str, run_id: str) -> str:
    """Sorted by a metric, because by date MLflow folds the jobs away under the sweep's run."""
    view = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "orderByKey": f"metrics.`{BEST_OF}`",
        "orderByAsc": "false",
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run_id}'",
    }
    return f"#/experiments/{experiment_id}/runs?{urlencode(view)}"


def _best(tested: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The best value of each overall metric; those of single defect types are left out."""
    best: dict[str, float] = {}
    for metrics in tested:
        for name, value in metrics.items():
            if name.count("/") == 1 and not math.isnan(value):
                shown = name.replace("test/", "best/")
                best[shown] = better(name)([value, best.get(shown, value)])
    return best


def _telling_names(sweep_dir: Path, uri: str) -> dict[str, str]:
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
        if further and tracking.get("run_id") and tracking["uri"] == uri:
            said = row.setting_name(without=IN_RUN_NAME)
            names[tracking["run_id"]] = f"{row.job.record['run_name']}, {said}"
    return names


def _description(sweep_dir: Path, jobs: Sequence[Path], run: "Run") -> str:
    """Markdown at the top of the sweep's page."""
    states = ", ".join(f"{count} {state}" for state, count in job_states(sweep_dir).items())
    parts = [f"{len(jobs)} jobs: {states}" if jobs else "no job has started"]
    tested = {
        job: value
        for job in jobs
        if (job / METRICS_FILE).is_file()
        and not math.isnan(value := read_metrics(job).get(BEST_OF, math.nan))
    }
    if tested:
        best = max(tested, key=lambda job: tested[job])
        parts.append(f"best **{read_record(best)['run_name']}** image AUROC {tested[best]:.4f}")
    parts.append(f"[compare the jobs]({_comparison(run.info.experiment_id, run.info.run_id)})")
    return " · ".join([*parts, f"sweep folder `{sweep_dir.absolute()}`"])


def _known_run(sweep_dir: Path, uri: str) -> str | None:
    """The run that an earlier part of this sweep made in the same store."""
    path = sweep_dir / SWEEP_FILE
    if not path.is_file():
        return None
    known = json.loads(path.read_text(encoding="utf-8"))["tracking"]
    return known["run_id"] if known["uri"] == uri else None

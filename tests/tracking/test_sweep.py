"""A sweep has one run in MLflow, above its jobs' and never left running."""

import json
import signal
import time
from pathlib import Path

import pytest
from commands import Command
from mlflow.entities import Run
from mlflow_stores import all_runs, contents, dead_address, new_store

COMPARISON = [f"comparison.{ending}" for ending in ("csv", "html", "md", "png")]

CONFIG = """
mode: add
seed: 0
dataset: {_target_: rdad.data.textures}
hydra:
  sweep: {dir: sweep, subdir: "${hydra.job.num}"}
  callbacks: {sweep_run: {_target_: rdad.tracking.SweepRun, uri: "${oc.env:STORE}"}}
"""

APP = """
import json, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from rdad.tracking import MlflowTracker
from run_folders import make_run_folder

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(cfg):
    folder = Path(HydraConfig.get().runtime.output_dir)
    tracker = MlflowTracker(HydraConfig.get().callbacks.sweep_run.uri, system_metrics=False)
    params = {"mode": cfg.mode, "seed": cfg.seed}
    tracker.start(experiment="other", run_name=f"{cfg.mode} {cfg.seed}", params=params, tags={})
    if cfg.mode == "slow":
        make_run_folder(folder, status="running")
        Path("started").touch()
        time.sleep(60)
    if cfg.mode == "broken":
        make_run_folder(folder, status="failed", run_name="broken")
        (folder / "metrics.json").unlink()
        tracker.finish(folder, "FAILED", {})
        raise RuntimeError("broken on purpose")
    metrics = {"test/image_auroc": 0.5 + cfg.seed / 16, "test/image_auroc/stain": 1.0}
    make_run_folder(folder, run_name=f"{cfg.mode} {cfg.seed}")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    tracker.finish(folder, "FINISHED", metrics)
    if cfg.mode == "garbled":
        (folder / "run.json").write_text("{")

main()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A program with the callback of conf/tracking/mlflow.yaml and jobs that take no time."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def launch(app: Path, uri: str, *overrides: str) -> Command:
    return Command(["app.py", "-m", *overrides], app, STORE=uri)


def parent_and_jobs(uri: str) -> tuple[Run, list[Run]]:
    runs = all_runs(uri)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parent, [run for run in runs if run is not parent]


def test_jobs_stand_below_a_finished_run_that_tells_the_best(app: Path) -> None:
    uri = f"sqlite:///{app}/new/mlflow.db"
    sweep = launch(app, uri, "mode=add,multiply", "seed=1,2")
    output, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, errors
    parent, jobs = parent_and_jobs(uri)
    assert [run.info.run_name for run in jobs] == ["add 1", "add 2", "multiply 1", "multiply 2"]
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    assert {run.info.experiment_id for run in jobs} == {parent.info.experiment_id}
    seen = contents(uri, parent)
    assert (seen["name"], seen["experiment"]) == ("sweep mode, seed", "textures")
    assert seen["status"] == "FINISHED"
    assert seen["params"] == {"mode": "add,multiply", "seed": "1,2"}
    assert seen["metrics"] == {"best/image_auroc": [(4, 0.625)]}
    assert list(seen["artifacts"]) == [*COMPARISON, "multirun.yaml"]
    assert "4 jobs: 4 finished" in seen["tags"]["mlflow.note.content"]
    assert seen["tags"]["rdad.overrides"] == "mode=add,multiply seed=1,2"
    assert f"mlflow ui --backend-store-uri {uri}" in output
    assert parent.info.run_id in output


def test_a_failing_job_leaves_a_failed_run_with_what_the_others_reached(
    app: Path, tmp_path: Path
) -> None:
    uri = new_store(tmp_path / "store")
    sweep = launch(app, uri, "mode=broken,add")
    sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    parent, jobs = parent_and_jobs(uri)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in jobs] == ["FAILED", "FINISHED"]
    assert parent.data.metrics == {"best/image_auroc": 0.5}
    assert list(contents(uri, parent)["artifacts"]) == [*COMPARISON, "multirun.yaml"]
    assert "2 jobs: 1 finished, 1 failed" in parent.data.tags["mlflow.note.content"]


def test_a_record_that_cannot_be_read_costs_the_sweeps_run_nothing(
    app: Path, tmp_path: Path
) -> None:
    uri = new_store(tmp_path / "store")
    _, errors = launch(app, uri, "mode=garbled,broken,add", "seed=0,1").communicate(timeout=120)
    assert "MLflow store" not in errors
    assert "JSON" not in errors
    parent, jobs = parent_and_jobs(uri)
    assert (parent.info.status, len(jobs)) == ("FAILED", 6)
    assert parent.data.metrics == {"best/image_auroc": 0.5625}
    assert "6 jobs: 2 finished, 4 failed" in parent.data.tags["mlflow.note.content"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_is_shown_as_killed(app: Path, tmp_path: Path, how: signal.Signals) -> None:
    uri = new_store(tmp_path / "store")
    sweep = launch(app, uri, "mode=slow,add")
    deadline = time.monotonic() + 60
    while not (app / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    sweep.send_signal(how)
    sweep.communicate(timeout=60)
    assert sweep.returncode != 0
    assert parent_and_jobs(uri)[0].info.status == "KILLED"


def test_a_sweep_that_goes_on_keeps_its_run(app: Path, tmp_path: Path) -> None:
    uri = new_store(tmp_path / "store")
    launch(app, uri, "seed=1,2").communicate(timeout=120)
    launch(app, uri, "seed=3,4", "hydra.sweep.subdir=more_${hydra.job.num}").communicate(
        timeout=120
    )
    parent, jobs = parent_and_jobs(uri)
    assert len(jobs) == 4
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"best/image_auroc": 0.75}
    known = json.loads((app / "sweep" / "sweep.json").read_text())["tracking"]
    assert known == {"uri": uri, "run_id": parent.info.run_id}


def test_a_dead_store_stops_no_job(app: Path) -> None:
    sweep = launch(app, dead_address(), "seed=1,2")
    _, errors = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, errors
    assert (app / "sweep/0/metrics.json").is_file()
    assert (app / "sweep/1/metrics.json").is_file()

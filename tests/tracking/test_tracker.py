"""Runs reach real MLflow stores whole, and a store that is gone never stops a training."""

import contextlib
import http.server
import io
import json
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow_stores import (
    all_runs,
    contents,
    dead_address,
    new_store,
    only_run,
    server_over,
)
from PIL import Image
from run_folders import HISTORY, METRICS, PARAMS, TAGS, make_run_folder

import rdad.tracking.tracker
from rdad import load_config
from rdad.results.overlays import by_lot
from rdad.tracking import MlflowTracker, source_tags, store
from rdad.tracking.store import Store
from rdad.tracking.tags import PARENT_VARIABLE, git_commit

START: dict[str, Any] = {
    "experiment": "textures-brick",
    "run_name": "resnet18-add",
    "params": PARAMS,
    "tags": TAGS,
}
FINAL = {key: math.nan if value is None else value for key, value in METRICS.items()}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return new_store(tmp_path / "store")


def tracked(uri: str, run_dir: Path, **start: Any) -> MlflowTracker:
    """A whole training's calls."""
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START | start)
    for row in HISTORY:
        tracker.log_metrics({"train/loss": row["train/loss"]}, step=row["epoch"])
    tracker.finish(run_dir, "FINISHED", FINAL)
    return tracker


def test_a_run_holds_parameters_curves_final_metrics_and_files(uri: str, tmp_path: Path) -> None:
    tracker = tracked(uri, make_run_folder(tmp_path / "run"))
    assert tracker.error is None
    run = only_run(uri)
    seen = contents(uri, run)
    assert run.info.run_id == tracker.run_id
    assert (seen["experiment"], seen["name"]) == ("textures-brick", "resnet18-add")
    assert seen["status"] == "FINISHED"
    assert seen["params"] == {key: str(value) for key, value in PARAMS.items()}
    assert TAGS.items() <= seen["tags"].items()
    assert seen["tags"]["mlflow.note.content"] == (
        f"**image AUROC** 0.9750 · **pixel AUROC** 0.9810 · **AUPRO** undefined · "
        f"run folder `{tmp_path}/run`"
    )
    assert seen["metrics"] == {
        "train/loss": [(1, 1.0), (2, 0.5), (3, 1 / 3)],
        "test/image_auroc": [(0, 0.975)],
        "test/pixel_auroc": [(0, 0.981)],
    }
    assert sorted(seen["artifacts"]) == [
        "config/config.yaml",
        "curves/roc.png",
        "history.csv",
        "metrics.json",
        "overlays.jpg",
        "overlays/brick/good_000.png",
        "overlays/brick/stain_000.png",
        "report.html",
        "scores.csv",
        "scores.json",
        "train.log",
    ]


def test_the_scores_can_be_read_as_a_table(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked(uri, make_run_folder(tmp_path / "run"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # load_table reads the store from there
    table = MlflowClient().load_table(only_run(uri).info.experiment_id, "scores.json")
    assert list(table.columns) == ["image", "score", "label", "split"]  # figures first
    assert table["score"].tolist() == [0.1, 0.2]


def test_names_in_the_table_of_scores_stay_as_they_are(uri: str, tmp_path: Path) -> None:
    """Also where they read as numbers or as nothing, or are no UTF-8."""
    run_dir = make_run_folder(tmp_path / "run")
    head, *rows = b"image,defect_type,part,score", b"\xff.png,None,01,0.1", b"b.png,02,,0.2"
    (run_dir / "scores.csv").write_bytes(b"\n".join([head, *rows]))
    assert tracked(uri, run_dir).error is None
    table = json.loads(contents(uri, only_run(uri))["artifacts"]["scores.json"])
    assert table["columns"] == ["image", "score", "defect_type", "part"]
    assert table["data"] == [["\udcff.png", 0.1, "None", "01"], ["b.png", 0.2, "02", None]]


def test_the_data_set_is_told_with_its_digest_and_once(uri: str, tmp_path: Path) -> None:
    named = {
        "params": PARAMS | {"dataset": "textures", "category": "brick"},
        "data_digest": 8 * "0123456789",
    }
    run_dir = make_run_folder(tmp_path / "run", images={"train": 65}, **named)
    for _ in range(2):
        tracked(uri, run_dir, run_id=all_runs(uri)[0].info.run_id if all_runs(uri) else None)
    (told,) = only_run(uri).inputs.dataset_inputs
    assert (told.dataset.name, told.dataset.digest) == (
        "textures brick",
        "012345678901234567890123456789012345",
    )
    assert told.dataset.profile == '{"train": 65}'
    assert [(tag.key, tag.value) for tag in told.tags] == [("mlflow.data.context", "training")]


def test_two_runs_have_a_sheet_of_the_same_twelve_overlays(uri: str, tmp_path: Path) -> None:
    """Green where the image is good: the sheet is the same though one run has more overlays."""
    names = [f"{kind}_{number:03}.png" for kind in ("bent", "good") for number in range(10)]
    twelve = by_lot(names)[:12]
    for run, drawn in (("all", names), ("few", sorted(twelve))):
        run_dir = make_run_folder(tmp_path / run)
        shutil.rmtree(run_dir / "overlays")
        (run_dir / "overlays").mkdir()
        for name in drawn:
            picture = Image.new("RGB", (39, 10), "green" if "good" in name else "red")
            picture.save(run_dir / "overlays" / name)
        tracked(uri, run_dir)
    sheets = [contents(uri, run)["artifacts"]["overlays.jpg"] for run in all_runs(uri)]
    assert sheets[0] == sheets[1]
    with Image.open(io.BytesIO(sheets[0])) as sheet:
        seen = [sheet.getpixel((400, 100 + 200 * place)) for place in range(12)]
        assert sheet.size == (780, 12 * 200)
    assert [green > red for red, green, _ in seen] == ["good" in name for name in sorted(twelve)]


class LateClient(MlflowClient):
    """One that looked for the experiment before another machine had made it."""

    looked = 0

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        self.looked += 1
        return None if self.looked == 1 else super().get_experiment_by_name(name)


def test_an_experiment_that_another_machine_makes_meanwhile_is_taken(uri: str) -> None:
    made = MlflowClient(tracking_uri=uri).create_experiment("bricks")
    assert Store(uri).experiment_id(LateClient(tracking_uri=uri), "bricks") == made


def test_a_run_id_of_mlflows_variable_is_said_not_to_count(
    uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    assert tracker.run_id != "f" * 32
    assert "MLFLOW_RUN_ID does not count" in caplog.text


def test_mlflows_variable_names_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_config().tracking.experiment is None
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "bricks")
    assert load_config().tracking.experiment == "bricks"
    assert load_config("tracking.experiment=walls").tracking.experiment == "walls"


@contextlib.contextmanager
def answering(answer: Callable[[http.server.BaseHTTPRequestHandler], None], *, head: bool) -> Any:
    """The address of a server; with `head`, it is quick to answer a knock."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                answer(self)

        def do_HEAD(self) -> None:
            if not head:
                self.do_GET()
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    for _ in range(100):
        handler.wfile.write(b"H")
        time.sleep(0.1)


def say_come_tomorrow(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(503)
    handler.send_header("Retry-After", "86400")
    handler.end_headers()


@pytest.mark.parametrize("knows_head", [False, True])
def test_a_server_that_drips_costs_seconds(
    knows_head: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(rdad.tracking.tracker, "START_SECONDS", 2)
    with answering(drip, head=knows_head) as address:
        tracker = MlflowTracker(address, system_metrics=False)
        began = time.monotonic()
        tracker.start(**START)
        assert time.monotonic() - began < 6
    assert tracker.error is not None
    assert "no answer" in tracker.error


def test_a_server_that_drips_later_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CALL_SECONDS", 1)
    with answering(drip, head=True) as address:
        client = Store(address).open()
        with pytest.raises(TimeoutError, match="no answer within 1 s"):
            client.get_experiment_by_name("bricks")


def test_a_server_that_says_when_to_come_again_is_not_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rdad.tracking.tracker, "START_SECONDS", 15)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with answering(say_come_tomorrow, head=True) as address:
        tracker = MlflowTracker(address, system_metrics=False)
        tracker.start(**START)
    assert "Max retries exceeded" in str(tracker.error)  # and not that no answer came


def test_an_interrupted_store_initialisation_leaves_no_half_made_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    process = Command(["-c", RACE, str(tmp_path), "job", "1", "1"], tmp_path)
    folder = tmp_path / "0"
    while not list(folder.glob(".mlflow-*/mlflow.db")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (folder / "mlflow.db").exists()
    uri = f"sqlite:///{folder}/mlflow.db"
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    assert tracker.error is None


def test_values_that_are_not_finite_are_left_out_and_the_others_stay(uri: str) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    tracker.log_metrics({"train/loss": math.nan, "train/lr": 0.005}, step=0)
    tracker.log_metrics({"train/loss": math.inf}, step=1)
    assert tracker.error is None
    assert only_run(uri).data.metrics == {"train/lr": 0.005}


def test_a_defect_type_of_any_name_has_its_metric(uri: str) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    tracker.log_metrics({"test/image_auroc/crack (1), größe": 0.5, "test/aupro": 0.25}, step=0)
    assert tracker.error is None
    expected = {"test/image_auroc/crack _1__ größe": 0.5, "test/aupro": 0.25}
    assert only_run(uri).data.metrics == expected


def test_parameters_keep_6000_characters_and_there_may_be_more_than_one_call_takes(
    uri: str,
) -> None:
    many = {f"key_{number}": number for number in range(150)}
    tracker = MlflowTracker(uri, system_metrics=False)
    long: dict[str, Any] = {"params": {"long": "x" * 5999, "longer": "y" * 9000, **many}}
    tracker.start(**START | long)
    assert tracker.error is None
    params = only_run(uri).data.params
    assert params["long"] == "x" * 5999
    assert params["longer"] == "y" * 6000
    assert len(params) == 152


def test_going_on_in_a_run_adds_only_what_it_lacks(uri: str, tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    first = tracked(uri, run_dir)
    before = contents(uri, only_run(uri))
    again = MlflowTracker(uri, system_metrics=False)
    changed: dict[str, Any] = {"params": PARAMS | {"mode": "multiply"}}
    again.start(**START | changed, run_id=first.run_id)
    again.log_metrics({"train/loss": 9.0}, step=3)
    again.log_metrics({"train/loss": 0.25}, step=4)
    assert only_run(uri).info.status == "RUNNING"
    again.finish(run_dir, "FINISHED", FINAL)
    after = contents(uri, only_run(uri))
    assert after["metrics"]["train/loss"] == [*before["metrics"]["train/loss"], (4, 0.25)]
    before["metrics"] = after["metrics"] = {}
    assert after == before


def test_epochs_that_another_store_was_told_of_are_reported_at_the_end(
    uri: str, tmp_path: Path
) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    tracker.log_metrics({"train/loss": 1 / 3}, step=3)
    tracker.finish(make_run_folder(tmp_path / "run"), "FINISHED", FINAL)
    losses = contents(uri, only_run(uri))["metrics"]["train/loss"]
    assert sorted(losses) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_a_run_that_the_store_has_lost_is_made_anew(uri: str) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START, run_id="0" * 32)
    assert tracker.error is None
    assert only_run(uri).info.run_id == tracker.run_id != "0" * 32


@pytest.mark.timeout(60)  # MLflow's own retries take minutes
def test_a_dead_server_costs_seconds_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = dead_address()
    with caplog.at_level(logging.INFO):
        tracker = tracked(address, make_run_folder(tmp_path / "run"))
    assert tracker.run_id is None
    assert tracker.error is not None
    assert address in tracker.error
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "rdad.upload" in warning.getMessage()


@pytest.mark.timeout(120)
def test_a_server_takes_a_run_and_its_death_in_the_middle_costs_seconds(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    with server_over(uri, tmp_path / "artifacts") as (address, server):
        assert tracked(address, run_dir).error is None
        assert "overlays/brick/good_000.png" in contents(address, only_run(address))["artifacts"]
        tracker = MlflowTracker(address)
        tracker.start(**START)
        tracker.log_metrics({"train/loss": 1.0}, step=0)
        assert tracker.error is None
        caplog.clear()  # the folder's model cannot be logged, which is told beside this
        server.kill()
        server.communicate()
        tracker.log_metrics({"train/loss": 0.5}, step=1)
    said = tracker.error
    assert tracker.run_id is not None
    assert "log metrics" in str(said)
    tracker.log_metrics({"train/loss": 0.25}, step=2)
    tracker.finish(run_dir, "FINISHED", FINAL)
    assert tracker.error == said  # the store is not asked again
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_database_that_is_destroyed_before_the_end_only_sets_the_error(
    uri: str, tmp_path: Path
) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    Path(uri.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)
    tracker.finish(make_run_folder(tmp_path / "run"), "FINISHED", FINAL)
    assert tracker.error is not None


@pytest.mark.parametrize("uri", ["", "mlruns", "./mlruns", "file:///tmp/mlruns"])
def test_an_address_that_mlflow_cannot_write_to_is_refused_with_those_it_can(uri: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///mlflow\.db"):
        MlflowTracker(uri)


def test_a_run_is_closed_where_only_the_store_of_its_artifacts_fails(
    uri: str, tmp_path: Path
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    (tmp_path / "store" / "mlartifacts").write_text("a file where a folder is wanted")
    tracker = tracked(uri, run_dir)
    assert tracker.error is not None
    assert only_run(uri).info.status == "FINISHED"


def test_a_relative_database_counts_from_the_folder_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = MlflowTracker("sqlite:///runs/mlflow.db")
    assert tracker.uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert tracker.ui_command == f"mlflow ui --backend-store-uri {tracker.uri}"
    assert MlflowTracker("http://host:5000/").ui_command == "http://host:5000"


def test_the_page_is_the_run_in_the_machine_learning_view(uri: str) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    assert tracker.page == "http://127.0.0.1:5000"
    tracker.start(**START)
    group = only_run(uri).info.experiment_id
    assert tracker.page == (
        f"http://127.0.0.1:5000/#/experiments/{group}/runs/{tracker.run_id}"
        "?workflowType=machine_learning"
    )


def test_system_metrics_are_recorded(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    tracker = MlflowTracker(uri, system_metrics=True)
    tracker.start(**START)
    time.sleep(1)
    tracker.finish(make_run_folder(tmp_path / "run"), "FINISHED", FINAL)
    assert "system/cpu_utilization_percentage" in only_run(uri).data.metrics


def test_a_run_of_a_sweep_stands_below_the_sweeps_run(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(tracking_uri=uri)
    sweep = client.create_run(client.create_experiment("sweeps"))
    monkeypatch.setenv(PARENT_VARIABLE, sweep.info.run_id)
    tracker = MlflowTracker(uri, system_metrics=False)
    tracker.start(**START)
    job = client.get_run(str(tracker.run_id))
    assert job.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert job.info.experiment_id == sweep.info.experiment_id


def test_a_sweep_that_the_store_does_not_have_is_left_out(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, "f" * 32)
    MlflowTracker(uri, system_metrics=False).start(**START)
    assert "mlflow.parentRunId" not in only_run(uri).data.tags


def test_source_tags_name_overrides_versions_and_commit() -> None:
    tags = source_tags(["mode=add", "dataset.root=a folder"])
    assert tags["rdad.overrides"] == "mode=add 'dataset.root=a folder'"
    assert tags["rdad.version.torch"]
    assert tags.get("mlflow.source.git.commit") == git_commit()


def test_there_is_no_commit_outside_a_checkout(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.touch()
    assert git_commit(file) is None


RACE = """
import sys, time
from pathlib import Path
from rdad.tracking import MlflowTracker
import mlflow
folder, name, rounds, racers = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
for number in range(rounds):
    (folder / f"{number}-{name}").touch()
    while len(list(folder.glob(f"{number}-*"))) < racers:  # until all are there
        time.sleep(0.01)
    tracker = MlflowTracker(f"sqlite:///{folder}/{number}/mlflow.db", system_metrics=False)
    tracker.start(experiment="race", run_name=name, params={"name": name}, tags={})
    for step in range(20):
        tracker.log_metrics({"train/loss": step}, step=step)
    sys.exit(tracker.error) if tracker.error else None
"""


def test_four_processes_that_meet_an_empty_store_lose_nothing(tmp_path: Path) -> None:
    """By hand it was run with 10 rounds; MLflow's own client loses three of four processes."""
    rounds = 2
    processes = [
        Command(["-c", RACE, str(tmp_path), f"job-{name}", str(rounds), "4"], tmp_path)
        for name in range(4)
    ]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], said
    for number in range(rounds):
        uri = f"sqlite:///{tmp_path}/{number}/mlflow.db"
        runs = all_runs(uri)
        assert sorted(str(run.info.run_name) for run in runs) == [
            f"job-{name}" for name in range(4)
        ]
        assert all(len(contents(uri, run)["metrics"]["train/loss"]) == 20 for run in runs)

"""A run folder alone is enough to put the run into MLflow, whole and once."""

import math
from pathlib import Path
from typing import Any

import commands
import pytest
from mlflow_stores import all_runs, contents, dead_address, new_store, only_run
from run_folders import HISTORY, METRICS, PARAMS, TAGS, make_run_folder, read_record

from rdad.runs.folder import alone_in
from rdad.tracking import MlflowTracker
from rdad.upload import main, upload


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return new_store(tmp_path / "store")


def start(tracker: MlflowTracker) -> None:
    tracker.start(experiment="textures-brick", run_name="resnet18-add", params=PARAMS, tags=TAGS)


def log_epoch(tracker: MlflowTracker, row: dict[str, Any]) -> None:
    tracker.log_metrics({"train/loss": row["train/loss"]}, step=row["epoch"])


def record_of(tracker: MlflowTracker) -> dict[str, Any]:
    return {"uri": tracker.uri, "run_id": tracker.run_id, "error": tracker.error}


def same_but_folder(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compares what two runs hold; tags and descriptions name the folders, which differ."""
    for run in (one, other):
        run["tags"].pop("rdad.run_folder")
    notes = [run["tags"].pop("mlflow.note.content").partition("`")[0] for run in (one, other)]
    return one == other and notes[0] == notes[1]


@pytest.fixture
def live(tmp_path: Path) -> dict[str, Any]:
    """What the store holds of a run whose store was there all the time."""
    uri = new_store(tmp_path / "live_store")
    tracker = MlflowTracker(uri, system_metrics=False)
    start(tracker)
    for row in HISTORY:
        log_epoch(tracker, row)
    final = {key: math.nan if value is None else value for key, value in METRICS.items()}
    tracker.finish(make_run_folder(tmp_path / "live"), "FINISHED", final)
    return contents(uri, only_run(uri))


def test_an_upload_is_the_same_as_tracking_live(
    uri: str, tmp_path: Path, live: dict[str, Any]
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    assert "sent to" in upload(run_dir, uri=uri)
    assert same_but_folder(contents(uri, only_run(uri)), live)
    expected = {"uri": uri, "run_id": only_run(uri).info.run_id, "error": None}
    assert read_record(run_dir)["tracking"] == expected


def test_a_run_whose_store_failed_halfway_is_completed_and_not_doubled(
    uri: str, tmp_path: Path, live: dict[str, Any]
) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    start(tracker)
    log_epoch(tracker, HISTORY[0])
    half = record_of(tracker) | {"error": "could not log metrics: gone"}
    run_dir = make_run_folder(tmp_path / "run", tracking=half)
    upload(run_dir)
    assert only_run(uri).info.run_id == tracker.run_id
    assert same_but_folder(contents(uri, only_run(uri)), live)


def test_a_second_upload_adds_nothing_and_says_so(uri: str, tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    upload(run_dir, uri=uri)
    before = contents(uri, only_run(uri))
    assert "already in" in upload(run_dir)
    assert contents(uri, only_run(uri)) == before


def test_a_run_tracked_live_is_already_there(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri, system_metrics=False)
    start(tracker)
    tracker.finish(make_run_folder(tmp_path / "first"), "FINISHED", {})
    run_dir = make_run_folder(tmp_path / "run", tracking=record_of(tracker))
    assert "already in" in upload(run_dir)


def test_of_two_uploads_at_once_one_is_refused(uri: str, tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    command = ("-m", "rdad.upload", str(run_dir), "--uri", uri)
    with alone_in(run_dir):
        done = commands.run(*command, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{run_dir} is in use by process" in done.stderr
    assert all_runs(uri) == []
    assert commands.run(*command, folder=tmp_path).returncode == 0


def test_links_that_lead_out_of_the_folder_are_not_sent_and_said(uri: str, tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    secret = tmp_path / "secret"
    (secret / "curves").mkdir(parents=True)
    for name in ("report.html", "train.log", "curves/key"):
        (secret / name).write_text("secret")
    for name in ("report.html", "train.log"):
        (run_dir / name).unlink()
        (run_dir / name).symlink_to(secret / name)
    (run_dir / "overlays" / "outside").symlink_to(secret / "curves")
    (run_dir / "overlays" / "\x1b[2J.png").symlink_to(secret / "train.log")
    (run_dir / "overlays" / "inside.png").symlink_to(run_dir / "curves" / "roc.png")
    done = commands.run("-m", "rdad.upload", str(run_dir), "--uri", uri, folder=tmp_path)
    assert done.returncode == 0
    sent = contents(uri, only_run(uri))["artifacts"]
    assert not [name for name, content in sent.items() if b"secret" in content]
    assert {"overlays/inside.png", "overlays/brick/stain_000.png", "curves/roc.png"} <= set(sent)
    for name in ("report.html", "train.log", "overlays/outside", "overlays/\\x1b[2J.png"):
        assert f"leads out of {run_dir}: {run_dir / name}" in done.stderr


@pytest.mark.parametrize("name", ["run.json", "history.csv", "metrics.json"])
def test_a_folder_whose_record_lies_elsewhere_is_refused(
    name: str, uri: str, tmp_path: Path
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    (run_dir / name).rename(tmp_path / name)
    (run_dir / name).symlink_to(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} is a link that leads out"):
        upload(run_dir, uri=uri)
    assert all_runs(uri) == []


def test_a_store_that_only_the_folder_names_is_told_before_sending(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = make_run_folder(tmp_path / "run", tracking={"uri": uri, "run_id": None, "error": "x"})
    assert main([str(run_dir)]) == 0
    told, sent = capsys.readouterr().out.splitlines()
    assert (
        told
        == f"{run_dir}: the store is the one that its run.json names: {uri}; --uri names another"
    )
    assert "sent to" in sent
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main([str(run_dir)]) == 0
    assert "names" not in capsys.readouterr().out
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path / "store")  # whose mlflow.db is the default
    assert main([str(run_dir)]) == 0
    assert "names" not in capsys.readouterr().out


def test_another_store_gets_a_run_of_its_own(uri: str, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other")
    run_dir = make_run_folder(tmp_path / "run")
    upload(run_dir, uri=uri)
    upload(run_dir, uri=other)
    assert len(all_runs(uri)) == len(all_runs(other)) == 1
    assert read_record(run_dir)["tracking"]["uri"] == other


def test_an_upload_keeps_the_times_of_the_training(uri: str, tmp_path: Path) -> None:
    times = {"started": "2026-01-31T12:00:00+00:00", "ended": "2026-01-31T12:03:20+00:00"}
    upload(make_run_folder(tmp_path / "run", **times), uri=uri)
    info = only_run(uri).info
    assert info.end_time - info.start_time == 200_000
    assert info.start_time == 1_769_860_800_000


@pytest.mark.parametrize(("status", "shown"), [("interrupted", "KILLED"), ("failed", "FAILED")])
def test_a_run_that_ended_early_is_sent_as_such(
    uri: str, tmp_path: Path, status: str, shown: str
) -> None:
    run_dir = make_run_folder(tmp_path / "run", status=status)
    for name in ("metrics.json", "scores.csv", "history.csv"):
        (run_dir / name).unlink()
    upload(run_dir, uri=uri)
    assert only_run(uri).info.status == shown


def test_a_run_that_goes_on_is_refused_unless_it_was_killed(uri: str, tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run", status="running")
    with pytest.raises(ValueError, match="--was-killed"):
        upload(run_dir, uri=uri)
    assert all_runs(uri) == []
    upload(run_dir, uri=uri, was_killed=True)
    assert only_run(uri).info.status == "KILLED"
    assert read_record(run_dir)["status"] == "interrupted"


def test_a_bad_folder_is_reported_and_the_others_are_sent(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    assert main([str(tmp_path / "nothing"), str(run_dir), "--uri", uri]) == 1
    printed = capsys.readouterr()
    assert "no run.json" in printed.err
    assert printed.err.count("\n") == 1
    assert "sent to" in printed.out
    assert len(all_runs(uri)) == 1


@pytest.mark.parametrize("name", ["history.csv", "metrics.json"])
def test_of_a_folder_with_a_spoilt_table_nothing_is_sent(
    name: str, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    (run_dir / name).write_text("epoch,train/loss\none,two\n")
    assert main([str(run_dir), "--uri", uri]) == 1
    assert name in capsys.readouterr().err
    assert not all_runs(uri)


def test_a_dead_store_gives_one_message_and_exit_code_1(tmp_path: Path) -> None:
    run_dir = make_run_folder(tmp_path / "run")
    before = (run_dir / "run.json").read_bytes()
    command = ["-m", "rdad.upload", str(run_dir), "--uri", dead_address()]
    done = commands.run(*command, folder=tmp_path, timeout=60)
    assert done.returncode == 1
    assert "no answer from" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (run_dir / "run.json").read_bytes() == before

"""What a sweep says at its end, and what a failed job leaves, without any training."""

import json
import logging
import pickle
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from sweep_folders import make_job

from rdad.runs.ending import failed_job, record_end
from rdad.sweep import report as sweep_report
from rdad.sweep.plan import BASIC_SWEEPER, planned_jobs
from rdad.sweep.report import report

FINE = {"image_auroc": 0.9, "pixel_auroc": 0.97, "aupro": 0.9}


@pytest.fixture(autouse=True)
def nothing_reported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_report, "_planned", {})
    report.cache_clear()


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sweeps" / "one"
    make_job(folder, "0_mode-add", FINE, mode="add")
    make_job(folder, "1_mode-none", mode="none", record={"reason": "ConfigError: no such mode"})
    return folder


def composed(*overrides: str, sweeper: str = BASIC_SWEEPER) -> DictConfig:
    named = {"sweeper": {"_target_": sweeper, "params": {"seed": "1,2,3"}}}
    return OmegaConf.create({"hydra": {**named, "overrides": {"task": list(overrides)}}})


def test_failures_come_with_reason_log_and_what_to_type(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(sweep)
    lines = capsys.readouterr().out.splitlines()
    assert "2 jobs: 1 finished, 1 failed" in lines
    place = lines.index("  1_mode-none: ConfigError: no such mode")
    assert lines[place + 1].strip() == "sweeps/one/1_mode-none/train.log"
    assert lines[place + 2].endswith("python -m rdad.train resume_sweep=sweeps/one")
    assert (sweep / "comparison.csv").is_file()


def test_a_sweep_is_reported_once(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(sweep)
    report(sweep)
    assert capsys.readouterr().out.count("2 jobs") == 1


def test_jobs_that_never_started_are_counted(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_report, "_planned", {sweep: 5})
    sweep_report.report_sweep()
    assert "2 jobs: 1 finished, 1 failed, 3 not started" in capsys.readouterr().out


def test_the_table_is_printed_where_it_cannot_be_written(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "comparison.csv").mkdir()
    report(sweep)
    assert "0.9000" in capsys.readouterr().out


def test_a_sweep_that_was_refused_before_its_first_job_has_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "multirun.yaml").touch()
    report(tmp_path)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "comparison.csv").exists()


def test_results_that_mlflow_did_not_take_are_told_with_the_command(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {"uri": "http://127.0.0.1:9", "run_id": None, "error": "no answer"}
    make_job(sweep, "2_mode-multiply", FINE, mode="multiply", record={"tracking": lost})
    monkeypatch.setattr(sweep_report, "_planned", {sweep: 3})
    assert not sweep_report.report_sweep()
    assert "python -m rdad.upload sweeps/one/2_mode-multiply" in capsys.readouterr().out


def test_the_jobs_of_a_grid_are_counted_and_a_search_has_no_number() -> None:
    assert planned_jobs(composed("mode=add,multiply", "backbone=resnet18")) == 6
    assert planned_jobs(composed("seed=range(0,4)")) == 4
    assert planned_jobs(composed("seed=7")) == 1
    assert planned_jobs(composed("model.lr=interval(0.001,0.1)")) is None
    assert planned_jobs(composed("mode=add,multiply", sweeper="some.OptunaSweeper")) is None


def test_a_failed_job_leaves_its_reason_and_in_its_log_the_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracking = {"uri": "sqlite:///x.db", "run_id": "abc", "error": None}
    (tmp_path / "run.json").write_text(json.dumps({"status": "running", "tracking": tracking}))
    handler = logging.FileHandler(tmp_path / "train.log")
    logging.getLogger().addHandler(handler)
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        failure = failed_job(tmp_path, error)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["status"], record["tracking"]) == ("failed", tracking)
    assert record["reason"] == "ValueError: two\nlines"
    assert str(pickle.loads(pickle.dumps(failure))) == record["reason"]
    assert "Traceback" in (tmp_path / "train.log").read_text()
    assert "Traceback" not in caplog.text


def test_what_happens_after_its_end_does_not_undo_a_finished_job(tmp_path: Path) -> None:
    job = make_job(tmp_path, "0", FINE)
    record_end(job, "interrupted", "stopped by Ctrl-C")
    assert json.loads((job / "run.json").read_text())["status"] == "finished"

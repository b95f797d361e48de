"""A folder that holds a run already, and trainings that serve another run."""

import csv
import errno
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning import Trainer
from omegaconf import DictConfig
from PIL import Image

from rdad import RunResult, load_config, load_run, run
from rdad.config.mistakes import ConfigError
from rdad.evaluate import main as evaluate
from rdad.experiment.precheck import check_groups
from rdad.experiment.resume import replayed
from rdad.experiment.stages import _started_from_outside
from rdad.experiment.trainer import with_known_precision
from rdad.runs.ending import TERMINATED
from rdad.runs.files import DRAFT, DiskFullError
from rdad.runs.record import RunRecord, read_record
from rdad.train import summary
from rdad.training.callbacks import Checkpoint

SMALL = (
    "backbone=resnet18",
    "model.pre_trained=false",
    "layers=layer1",
    "dataset.image_size=[32,32]",
    "dataset.calibration=0",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "tracking=off",
    "artifacts.maps=false",
    "artifacts.report=false",
    "artifacts.overlays=1",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn and decoded images serve all tests, a training its own alone."""
    shutil.rmtree(images / "trainings", ignore_errors=True)
    monkeypatch.setenv("RDAD_CACHE_DIR", str(images))


def small(*options: str) -> DictConfig:
    return load_config(*SMALL, *options)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def stop_after_the_first_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Checkpoint.on_train_epoch_end

    def stop(self: Checkpoint, *args: Any) -> None:
        write(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_train_epoch_end", stop)


def test_a_batch_of_one_image_that_is_too_small_for_it_is_refused_before_training(
    tmp_path: Path,
) -> None:
    for index in range(5):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(tmp_path / f"{index}.png")
    own = ("dataset=folder", f"dataset.root={tmp_path}", "dataset.normal=.", "dataset.holdout=0.2")
    with pytest.raises(ConfigError, match=r"^dataset\.batch_size=3 leaves one of 4 .* at 32x32"):
        run(small(*own, "layers=layer123", "dataset.batch_size=3"), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_devices_that_are_not_there_are_told_before_an_image_is_read(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_text("no image")
    own = ("dataset=folder", f"dataset.root={tmp_path}", "dataset.normal=.")
    with pytest.raises(ConfigError, match=r"(?s)^trainer: .*; trainer=auto takes what there is$"):
        run(small(*own, "trainer.accelerator=tpu"), tmp_path / "run")


def test_a_second_run_in_a_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(small("dataset.category=brick", "dataset.calibration=0.2"), folder)
    (folder / "exports").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert (folder / "calibration.csv").is_file()
    first = set((folder / "overlays").rglob("*.png"))
    run(small("dataset.category=grass"), folder)
    loaded = load_run(folder)
    assert loaded.cfg.dataset.category == loaded.record["params"]["category"] == "grass"
    assert not (folder / "calibration.csv").exists()
    overlays = set((folder / "overlays").rglob("*.png"))
    assert len(overlays) == len(first)
    assert overlays.isdisjoint(first)
    assert (folder / "notes.txt").is_file()
    assert (folder / "exports").is_dir()


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of three epochs that was stopped after the checkpoint of the first."""
    with monkeypatch.context() as patch:
        stop_after_the_first_checkpoint(patch)
        with pytest.raises(KeyboardInterrupt):
            run(small("trainer.max_epochs=3", "checkpoint_every_n_epochs=1"), tmp_path / "run")
    assert read_record(tmp_path / "run")["status"] == "interrupted"
    return tmp_path / "run"


def test_a_checkpoint_serves_no_other_training(stopped: Path) -> None:
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"only trainer\.max_epochs or .* may change"):
            run(small("trainer.max_epochs=3", "model.lr=0.0001", "resume=true"), stopped)
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before


def test_a_stopped_run_may_go_on_for_longer(stopped: Path) -> None:
    run(small("trainer.max_epochs=4", "resume=true"), stopped)
    assert [row["epoch"] for row in history(stopped)] == ["1", "2", "3", "4"]


IN_STEPS = (
    *("trainer.max_steps=7", "optimizer=adamw", "schedule=cosine", "model.warmup_steps=2"),
    *("model.clip_norm=0.1", "loss=loose", "layers=layer1"),
    *("model.bottleneck_dropout=0.2", "model.feature_jitter=0.1"),
)


def test_a_training_in_steps_goes_on_as_if_it_had_not_been_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = (*IN_STEPS, "reuse=false", "checkpoint_every_n_epochs=1")
    with caplog.at_level(logging.INFO):
        whole = run(small(*steps), tmp_path / "whole").output_dir
    assert "epoch 2/2" in caplog.text and "trained 1.4 epochs" in caplog.text
    with monkeypatch.context() as patch:
        stop_after_the_first_checkpoint(patch)
        with pytest.raises(KeyboardInterrupt):
            run(small(*steps), tmp_path / "stopped")
    with pytest.raises(ConfigError, match="only what acts after a training"):
        run(small(*steps, "trainer.max_steps=8", "resume=true"), tmp_path / "stopped")
    again = run(small(*steps, "resume=true"), tmp_path / "stopped").output_dir
    assert [row["epoch"] for row in history(again)] == ["1", "2"]
    assert (again / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    params = read_record(again)["params"]
    assert (params["max_steps"], params["max_epochs"]) == (7, "none")


def test_images_a_second_are_of_those_that_were_trained_on(tmp_path: Path) -> None:
    limited = small("dataset.batch_size=2", "+trainer.limit_train_batches=3")
    run(limited, tmp_path)
    record = read_record(tmp_path)
    seen = record["images_per_second"] * record["train_seconds"]
    assert seen == pytest.approx(6, rel=0.01)


def test_a_run_that_starts_anew_leaves_no_old_checkpoint_to_go_on_from(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Checkpoint, *args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_train_epoch_end", stop)
    assert (stopped / "checkpoint.ckpt").is_file()
    with pytest.raises(KeyboardInterrupt):
        run(small("model.lr=0.0001"), stopped)
    assert not (stopped / "checkpoint.ckpt").exists()


def test_a_disk_that_fills_in_the_training_fails_the_run_and_leaves_what_was_there(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fills(self: Trainer, path: Path) -> None:
        path.write_bytes(b"half of the c")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (stopped / "checkpoint.ckpt").read_bytes()
    (stopped / "overlays").mkdir()
    left = (stopped / f"{DRAFT}model.pt", stopped / "overlays" / f"{DRAFT}good_000.png")
    for path in left:
        path.touch()
    monkeypatch.setattr(Trainer, "save_checkpoint", fills)
    options = ("trainer.max_epochs=4", "checkpoint_every_n_epochs=1", "resume=true")
    with pytest.raises(DiskFullError, match=r"cannot write .*checkpoint\.ckpt; it has"):
        run(small(*options), stopped)
    record = read_record(stopped)
    assert record["status"] == "failed"
    assert "the disk is full" in record["reason"]
    assert (stopped / "checkpoint.ckpt").read_bytes() == before
    assert not list(stopped.rglob(f"{DRAFT}*"))


def test_a_finished_run_is_resumed_as_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    metrics = run(small(), folder).metrics
    assert run(small("resume=true"), folder).metrics == metrics
    with pytest.raises(ConfigError, match=r"is finished, and with mode=multiply \(was add\)"):
        run(small("mode=multiply", "resume=true"), folder)


def test_the_command_line_refuses_it_before_hydra_writes(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- mode=add\n")
    record = RunRecord(tmp_path)
    command = [f"resume={tmp_path}", "mode=multiply"]
    assert replayed(command)[-1] == "mode=multiply"  # a stopped one may be changed
    record.end("finished")
    assert replayed([command[0], "tracking=off"])[-1] == "tracking=off"
    with pytest.raises(ConfigError, match="is finished, and mode=multiply would make another run"):
        replayed(command)


def test_a_run_below_the_home_folder_is_found_behind_its_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / ".hydra" / "overrides.yaml").write_text("- mode=add\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    said = ["mode=add", f"hydra.run.dir='{tmp_path}/run'", "resume=true"]
    assert replayed(["resume=~/run"]) == said


def test_what_was_watched_of_other_maps_is_not_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watching = ("dataset.validation=test", "trainer.check_val_every_n_epoch=1")
    run(small(*watching, "mode=add"), tmp_path / "one")
    with caplog.at_level(logging.INFO):
        run(small(*watching, "mode=multiply", "model.sigma=1"), tmp_path / "two")
    assert "reused the training of" in caplog.text
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert any(name.startswith("watch/") for name in one[0])
    own = [{k: v for k, v in row.items() if not k.startswith("watch/")} for row in one]
    assert two == own


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PK")])
def test_a_training_whose_file_is_spoilt_is_made_again(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    run(small(), tmp_path / "one")
    damage(tmp_path / "one" / "model.pt")
    with caplog.at_level(logging.INFO):
        result = run(small(), tmp_path / "two")
    assert "reused the training" not in caplog.text
    assert "trained 1 epochs" in caplog.text
    assert result.metrics["test/image_auroc"] >= 0
    assert (tmp_path / "two" / "model.pt").stat().st_size > 1000


def test_a_cache_that_cannot_be_written_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RDAD_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("a file where a folder is wanted")
    assert run(small(), tmp_path / "run").metrics
    assert "other jobs may train the same network meanwhile" in caplog.text
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("outside", "processes", "expected"),
    [(True, 2, True), (True, 1, False), (False, 2, False), (None, 1, False)],
)
def test_processes_that_wait_in_the_training_are_not_left_there(
    outside: bool | None, processes: int, expected: bool
) -> None:
    environment = None if outside is None else SimpleNamespace(creates_processes_externally=outside)
    strategy = SimpleNamespace(cluster_environment=environment)
    trainer: Any = SimpleNamespace(strategy=strategy, world_size=processes)
    assert _started_from_outside(trainer) is expected


def test_settings_of_no_tracking_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"nothing for tracking\.uri=x to act on"):
        check_groups(["tracking=off", "tracking.uri=x"])


@pytest.mark.parametrize("given", ["mode=null", "experiment=null", "experiment=quick,null"])
def test_a_group_set_to_null_is_told_its_options(given: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{given}: choose one of .*, or leave it out$"):
        check_groups([given])


def test_a_folder_stands_in_quotes_where_a_command_names_it(tmp_path: Path) -> None:
    unsent = RunResult({"test/image_auroc": 0.5}, tmp_path / "my run", tracking_error="gone")
    assert f"python -m rdad.upload '{tmp_path}/my run'" in summary(unsent)


def test_a_network_that_was_stopped_in_its_training_is_said_to_be_unfinished(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_run(stopped)
    assert "was stopped in its training: its network is unfinished" in caplog.text


def test_resuming_where_there_is_no_run_says_that_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(small("resume=true"), tmp_path / "run")
    assert "there is no run in" in caplog.text


def test_a_run_that_is_terminated_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(self: Checkpoint, *args: Any) -> None:
        raise SystemExit(TERMINATED)

    monkeypatch.setattr(Checkpoint, "on_train_epoch_end", terminated)
    with pytest.raises(SystemExit) as stop:
        run(small("checkpoint_every_n_epochs=1"), tmp_path / "run")
    assert stop.value.code == TERMINATED
    record = read_record(tmp_path / "run")
    assert (record["status"], record["reason"]) == ("interrupted", "terminated")


def test_cached_features_are_those_of_the_runs_precision(tmp_path: Path) -> None:
    """In bf16, on one layer: without instructions for it a processor takes its time."""
    shallow = ("layers=layer1", "precision=bf16", "reuse=false")
    losses = [
        float(
            history(run(small(f"cache_features={kept}", *shallow), tmp_path / kept).output_dir)[0][
                "train/loss"
            ]
        )
        for kept in ("none", "float32")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


@pytest.mark.parametrize(("has", "named"), [(True, "bf16-mixed"), (False, "32-true")])
def test_precision_auto_is_what_the_machine_has(
    has: bool, named: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rdad.experiment.trainer.has_bf16", lambda device: has)
    cfg = small("experiment=fast")
    with caplog.at_level(logging.INFO):
        assert with_known_precision(cfg).trainer.precision == named
    assert cfg.trainer.precision == "auto" and "precision=auto: " in caplog.text
    caplog.clear()
    assert with_known_precision(small("precision=bf16")).trainer.precision == "bf16-mixed"
    assert ("15 times as long" in caplog.text) is not has
    caplog.clear()
    assert with_known_precision(small()).trainer.precision == "32-true" and not caplog.text


def test_a_run_in_precision_auto_is_finished_and_scored_as_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdad.experiment.trainer.has_bf16", lambda device: False)
    options = small("precision=auto", "layers=layer1", "resume=true")
    first = run(options, tmp_path / "run")
    assert read_record(tmp_path / "run")["params"]["precision"] == "32-true"
    assert load_run(tmp_path / "run").cfg.trainer.precision == "auto"
    assert run(options, tmp_path / "run").metrics == first.metrics  # it was finished
    scores = ("artifacts.maps=false", "artifacts.report=false", "artifacts.overlays=0")
    assert evaluate([str(tmp_path / "run"), f"output={tmp_path / 'again'}", *scores]) == 0
    found = [(tmp_path / name / "scores.csv").read_bytes() for name in ("run", "again")]
    assert found[0] == found[1]

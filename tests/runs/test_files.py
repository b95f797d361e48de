"""metrics.json and history.csv: strict, exact, written whole or not at all."""

import errno
import json
import math
import os
from pathlib import Path

import pytest

from rdad.data.samples import labelled
from rdad.runs import files
from rdad.runs.files import (
    DRAFT,
    DiskFullError,
    append_history,
    irregular,
    read_history,
    read_metrics,
    remove_drafts,
    resolved,
    write_atomic,
    write_json,
    write_metrics,
    write_text_atomic,
)
from rdad.runs.folder import alone_in
from rdad.runs.record import RunRecord, read_record
from rdad.tracking.files import leads_out


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_metrics_come_back_to_the_last_bit_and_nan_is_null(tmp_path: Path):
    write_metrics(tmp_path, {"test/image_auroc": 0.1 + 0.2, "test/aupro": math.nan})
    text = (tmp_path / "metrics.json").read_text()
    strict = json.loads(text, parse_constant=refuse)
    assert strict == {"test/image_auroc": 0.1 + 0.2, "test/aupro": None}
    metrics = read_metrics(tmp_path)
    assert metrics["test/image_auroc"] == 0.1 + 0.2
    assert math.isnan(metrics["test/aupro"])


def test_infinite_metric_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ValueError, match="infinite: loss"):
        write_metrics(tmp_path, {"auroc": 1.0, "loss": math.inf})
    assert not list(tmp_path.iterdir())


def test_reading_metrics_of_an_untested_run_says_so(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="the run has not been tested"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', '{"a": [1]}', "{"])
def test_damaged_metrics_name_the_file(tmp_path: Path, text: str):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json is not a JSON object of numbers"):
        read_metrics(tmp_path)


def test_failed_writing_leaves_the_old_text_and_nothing_else(tmp_path: Path):
    write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomic(tmp_path / "a.txt", "x" * 100_000 + "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_text_keeps_file_names_that_are_no_unicode(tmp_path: Path):
    name = b"bild\xff.png".decode(errors="surrogateescape")
    write_text_atomic(tmp_path / "new" / "a.txt", name)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"bild\xff.png"


def test_history_grows_by_rows_and_by_columns(tmp_path: Path):
    assert read_history(tmp_path) == []
    append_history(tmp_path, {"epoch": 1, "train/loss": 0.1 + 0.2})
    append_history(tmp_path, {"epoch": 2, "train/loss": math.nan, "val/loss": 3.0})
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,train/loss,val/loss\n1,0.30000000000000004,\n2,nan,3.0\n"
    )
    first, second = read_history(tmp_path)
    assert first == {"epoch": 1, "train/loss": 0.1 + 0.2}
    assert math.isnan(second["train/loss"])


def test_figures_of_one_epoch_are_joined_to_one_row(tmp_path: Path):
    append_history(tmp_path, {"epoch": 1, "train/loss": 1.0})
    append_history(tmp_path, {"epoch": 1, "val/loss": 2.0})
    assert read_history(tmp_path) == [{"epoch": 1, "train/loss": 1.0, "val/loss": 2.0}]


def test_resumed_run_drops_the_epochs_that_it_does_again(tmp_path: Path):
    for epoch in range(1, 5):
        append_history(tmp_path, {"epoch": epoch, "train/loss": float(epoch)})
    append_history(tmp_path, {"epoch": 3, "train/loss": 9.0})
    assert [row["train/loss"] for row in read_history(tmp_path)] == [1.0, 2.0, 9.0]


def test_a_history_of_version_0_1_0_counts_from_one_when_read_and_goes_on_so(tmp_path: Path):
    (tmp_path / "history.csv").write_text("epoch,train/loss\n0,0.5\n1,0.25\n")
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2]
    append_history(tmp_path, {"epoch": 3, "train/loss": 0.125})
    text = "epoch,train/loss\n1,0.5\n2,0.25\n3,0.125\n"
    assert (tmp_path / "history.csv").read_text() == text


def test_damaged_history_names_the_file(tmp_path: Path):
    (tmp_path / "history.csv").write_text("epoch,train/loss\n0,much\n")
    with pytest.raises(ValueError, match=r"history\.csv is not a table of numbers"):
        read_history(tmp_path)


def full_disk(path: Path) -> None:
    path.write_bytes(b"half of the f")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_with_the_file_and_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("old")
    with pytest.raises(DiskFullError, match=r"cannot write .*model\.pt; it has [\d,]+ bytes left"):
        write_atomic(path, full_disk)
    assert [one.name for one in tmp_path.iterdir()] == ["model.pt"]
    assert path.read_text() == "old"


def test_an_end_is_written_down_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = RunRecord(tmp_path)
    monkeypatch.setattr(files, "write_text_atomic", lambda path, _: write_atomic(path, full_disk))
    record.end("failed", reason="the disk is full")
    assert read_record(tmp_path)["status"] == "failed"
    with pytest.raises(DiskFullError):
        record.end("failed", reason="x" * 100_000)
    assert read_record(tmp_path)["reason"] == "the disk is full"


def test_what_a_killed_process_left_half_written_is_taken_away(tmp_path: Path) -> None:
    def killed(draft: Path) -> None:
        assert draft.name.startswith(DRAFT)
        draft.with_name(f"{DRAFT}of_another").mkdir()
        (draft.with_name(f"{DRAFT}of_another") / "model.pt").touch()
        draft.touch()
        remove_drafts(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".hydra"]
        draft.touch()

    (tmp_path / ".hydra").mkdir()
    write_atomic(tmp_path / "a.txt", killed)


def test_what_is_no_regular_file_is_told_and_files_folders_and_nothing_are_not(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").touch()
    found = [irregular(tmp_path / name) for name in ("pipe", "link", "zero", "file", "", "gone")]
    assert found == ["a named pipe", "a named pipe", "a device", None, None, None]


def test_a_record_keeps_names_that_are_no_utf_8(tmp_path: Path):
    write_json(tmp_path / "run.json", {"status": "finished", "root": "r\udcff"})
    assert read_record(tmp_path)["root"] == "r\udcff"


@pytest.mark.parametrize("text", ["a,b\n1,2", "epoch,x\n0,\0", "epoch,x\n0,y", "epoch,x\n0,1,2"])
def test_a_damaged_history_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv is not a table of numbers with an epoch"):
        read_history(tmp_path)


def test_links_in_a_circle_are_a_place_like_others_and_raise_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert resolved(tmp_path / "a").parent == tmp_path.resolve()
    assert leads_out(tmp_path / "a", tmp_path) is False
    assert [one.name for one in labelled([tmp_path / "a"], "good", tmp_path)] == ["a"]
    with alone_in(tmp_path / "a"):
        pass

"""Output that nobody reads any more ends no command in a traceback."""

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from rdad.runs.ending import leave_to_their_logs, reader_may_leave


def test_printing_goes_on_to_nowhere_once_the_reader_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        for _ in range(2):
            with reader_may_leave():
                print("a line")


def test_what_ends_a_command_otherwise_still_does() -> None:
    with pytest.raises(SystemExit), reader_may_leave():
        sys.exit(0)


def test_a_job_of_a_sweep_shows_each_warning_once_and_logs_all(tmp_path: Path) -> None:
    root, said = logging.getLogger(), io.StringIO()
    shown = logging.StreamHandler(said)
    written = logging.FileHandler(tmp_path / "log")
    level = root.level
    root.addHandler(shown)
    root.addHandler(written)
    root.setLevel(logging.INFO)
    try:
        leave_to_their_logs()
        for _ in range(2):
            root.info("epoch 1/2")
            root.warning("this once, of %s", tmp_path)
    finally:
        root.setLevel(level)
        for handler in (shown, written):
            root.removeHandler(handler)
    written.close()
    once = f"this once, of {tmp_path}\n"
    assert said.getvalue() == once
    assert (tmp_path / "log").read_text() == 2 * f"epoch 1/2\n{once}"

"""Output that nobody reads any more ends no command in a traceback."""

import os
import sys

import pytest

from rdad.runs.ending import reader_may_leave


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

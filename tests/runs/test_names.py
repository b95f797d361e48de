"""Names of files cannot speak to the terminal."""

import logging

from rdad.runs.names import VisibleFormatter, as_text, visible


def test_control_characters_are_escapes_and_lines_stay_lines() -> None:
    assert visible("a\x1b[2J\x07\x9b\rb\n\tä") == "a\\x1b[2J\\x07\\x9b\\x0db\n\tä"


def test_a_log_line_is_visible_with_what_is_put_into_it() -> None:
    record = logging.LogRecord("", logging.INFO, "", 0, "found %s", ("\x1b]0;x\x07",), None)
    assert VisibleFormatter("%(message)s").format(record) == "found \\x1b]0;x\\x07"


def test_bytes_that_are_no_utf_8_are_underscores_for_a_server() -> None:
    assert as_text("r\udcff\udcfeö") == "r__ö"

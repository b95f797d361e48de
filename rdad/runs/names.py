"""Names of files as others can take them: a terminal, a log, a server, standard output.

They are bytes: some are no UTF-8, which Python keeps as surrogates, and some are what a terminal
would obey.
"""

import io
import logging
import re
import sys
from os import PathLike
from pathlib import Path

CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def visible(text: object) -> str:
    """The text with control characters, but for line ends and tabs, as escapes like \\x1b."""
    return str(text).translate(CONTROLS)


class VisibleFormatter(logging.Formatter):
    """As its base, of `visible` text."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def as_text(name: str) -> str:
    """The name with _ for each byte that is no UTF-8, which Python keeps as a surrogate."""
    return re.sub("[\ud800-\udfff]", "_", name)


def let_print_any_name() -> None:
    """From now on standard output takes names that are no UTF-8, and gives their bytes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def expanded(path: str | PathLike[str]) -> Path:
    """The path with ~ as the home folder.

    Raises:
        FileNotFoundError: nobody says where that is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(f"{path}: no home folder is known; write the whole path") from error

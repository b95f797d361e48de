"""Names of files as others can take them: a terminal, a log, a server, standard output.

They are bytes: some are no UTF-8, which Python keeps as surrogates, and some are what a terminal
would obey.
"""

import io
import logging
import re
import sys
import unicodedata
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


def nfc(name: str) -> str:
    """The name to compare others with: macOS writes ö as o and two dots, which look the same."""
    return unicodedata.normalize("NFC", name)


def on_disk(path: Path) -> Path:
    """The path as the disk spells it, where that differs in what `nfc` makes the same."""
    if str(path).isascii() or path.exists():
        return path
    parent = on_disk(path.parent)
    found = parent.iterdir() if parent.is_dir() else ()
    return min((one for one in found if nfc(one.name) == nfc(path.name)), default=path)


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

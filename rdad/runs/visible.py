"""What a terminal would obey, in the names of files, made visible before it is printed."""

import logging

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

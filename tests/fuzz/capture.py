"""A command called in this process, and what it printed."""

import io
import logging
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout


def called(command: Callable[[], object]) -> tuple[object, str]:
    """What a command gives, or what it exits with, 0 for None; and all that it printed.

    Like those of a real process, standard output takes UTF-8 alone, and standard error anything.
    """
    printed, root = io.BytesIO(), logging.getLogger()
    out = io.TextIOWrapper(printed, "utf-8", write_through=True)
    errors = io.TextIOWrapper(printed, "utf-8", errors="backslashreplace", write_through=True)
    handlers = [*root.handlers]
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            code = command()
    except SystemExit as stop:
        code = stop.code
    finally:
        for handler in [*root.handlers]:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
    return code or 0, printed.getvalue().decode(errors="replace")

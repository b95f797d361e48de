"""Importing the libraries that take seconds."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def slow_imports() -> Iterator[None]:
    """To import inside of, without a search for rubbish where nothing is thrown away.

    What was imported is not looked through later either. Where nothing was, nothing is kept back:
    a process that makes many runs would keep what each of them left.
    """
    enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if enabled:
            gc.enable()

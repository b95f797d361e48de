"""How a run, or a job of a sweep, ends before its time, and what is written down of that."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TextIO

from hydra.errors import CompactHydraException

from rdad.runs.folder import alone_in
from rdad.runs.names import visible
from rdad.runs.record import NOWHERE, RunRecord

log = logging.getLogger(__name__)

HELP = {"--help", "-h"}
SHOWING = (*HELP, "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--resolve")
TERMINATED = 128 + signal.SIGTERM  # exit code


class JobFailed(CompactHydraException):
    """A job has no result. Hydra prints the message alone, and goes on with the other jobs."""


def failed_job(run_dir: Path, error: Exception) -> JobFailed:
    """Write down why the job failed; gives what to raise in the place of `error`."""
    reason = f"{type(error).__name__}: {error}"
    record_end(run_dir, "failed", reason)
    log.error("failed: %s", reason)
    _log_traceback()
    return JobFailed(visible(reason))


def record_end(run_dir: Path, status: str, reason: str) -> None:
    """Say in run.json how a job ended that may not have come as far as writing one."""
    with suppress(OSError), alone_in(run_dir):  # a full disk, or another's run, may have stopped it
        try:
            record = RunRecord.open(run_dir)
        except (FileNotFoundError, ValueError):
            record = RunRecord(run_dir, tracking=NOWHERE)
        if record["status"] != "finished":
            record.end(status, reason=reason)


def why_stopped(error: BaseException) -> str | None:
    """In the words of run.json; None where it was a failure."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    return "terminated" if isinstance(error, SystemExit) else None


def end_in_order_when_terminated() -> None:
    """Let SIGTERM, from `kill` or a cluster's scheduler, run what is to be done at exit."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command is to show its own help, in place of its work."""
    return not HELP.isdisjoint(arguments)


def only_shows(arguments: Sequence[str]) -> bool:
    """Whether a command does no more than show something, as its help."""
    return any(one.partition("=")[0] in SHOWING for one in arguments)


def end_with_its_reader(arguments: Sequence[str]) -> None:
    """Where a command does no more than show something, let `| head` end it without a word."""
    if only_shows(arguments):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Let what is printed go nowhere, once nobody reads it any more."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _WarningsOnce(logging.Filter):
    """Lets a process say what is a warning at least, and that once."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        shown = record.levelno >= logging.WARNING and record.getMessage() not in self.said
        self.said.add(record.getMessage())
        return shown


def leave_to_their_logs() -> None:
    """Let a job of a sweep log into its file, and of that warnings alone to the terminal."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.addFilter(_of_terminal(handler.stream))


@cache
def _of_terminal(stream: TextIO) -> _WarningsOnce:
    """The same for all jobs of a process, which get a handler each."""
    del stream
    return _WarningsOnce()


def _log_traceback() -> None:
    """Into the job's file alone: on a terminal the tracebacks of many jobs hide what matters."""
    place = (log.name, logging.ERROR, __file__, 0)
    record = logging.LogRecord(*place, "the failure in full", None, sys.exc_info())
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)

"""What a job of a sweep leaves when it fails: a reason in run.json, a traceback in train.log."""

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException

from rdad.runs.files import write_text_atomic
from rdad.runs.record import RECORD_FILE, read_record

log = logging.getLogger(__name__)


class JobFailed(CompactHydraException):
    """A job has no result. Hydra prints the message alone, and goes on with the other jobs."""


def failed_job(run_dir: Path, error: Exception) -> JobFailed:
    """Write down why the job failed; gives what to raise in the place of `error`."""
    reason = f"{type(error).__name__}: {error}"
    record_end(run_dir, "failed", reason)
    log.error("failed: %s", reason)
    _log_traceback()
    return JobFailed(reason)


def record_end(run_dir: Path, status: str, reason: str) -> None:
    """Say in run.json how a job ended that may not have come as far as writing one."""
    known = _known(run_dir)
    if known.get("status") == "finished":
        return
    with suppress(OSError):  # a full disk may be what stopped it
        content = known | {"status": status, "reason": reason, "ended": _now()}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_text_atomic(run_dir / RECORD_FILE, text + "\n")


def _known(run_dir: Path) -> dict[str, Any]:
    try:
        return read_record(run_dir)
    except (FileNotFoundError, ValueError):
        return {"started": _now(), "tracking": {"uri": None, "run_id": None, "error": None}}


def _log_traceback() -> None:
    """Into the job's file alone: on a terminal the tracebacks of many jobs hide what matters."""
    place = (log.name, logging.ERROR, __file__, 0)
    record = logging.LogRecord(*place, "the failure in full", None, sys.exc_info())
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

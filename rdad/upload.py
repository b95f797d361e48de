"""python -m rdad.upload: send finished run folders to MLflow.

For a run whose store was out of reach, or that was made with tracking=off. The folder alone is
enough; it remembers the run that it became, and a second upload adds nothing.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.config.foreign import read_config
from rdad.runs.ending import reader_may_leave
from rdad.runs.files import HISTORY_FILE, METRICS_FILE, read_history, read_metrics, write_json
from rdad.runs.folder import alone_in, have_a_home
from rdad.runs.names import VisibleFormatter, visible
from rdad.runs.record import CONFIG_FILE, NOWHERE, RECORD_FILE, read_record
from rdad.tracking.files import leads_out
from rdad.tracking.store import DEFAULT_URI, absolute_uri, default_uri, kept_uri, shown_uri

if TYPE_CHECKING:
    from rdad.tracking import MlflowTracker
    from rdad.tracking.tracker import Status

STATUS: dict[str, "Status"] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
"""What run.json says -> what MLflow calls it."""

FACTS = ("experiment", "run_name", "params", "tags")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code, 1 if any folder could not be sent."""
    have_a_home()
    with reader_may_leave():
        chosen = _parser().parse_args(arguments)
    logging.getLogger("rdad.tracking.tracker").addHandler(logging.NullHandler())  # ours says it
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(VisibleFormatter())
    failed = False
    for folder in chosen.folders:
        try:
            said = visible(upload(folder, uri=chosen.uri, was_killed=chosen.was_killed))
            with reader_may_leave():
                print(said)
        except (OSError, ValueError) as failure:
            print(visible(f"rdad.upload: {folder}: {failure}"), file=sys.stderr)
            failed = True
    return int(failed)


def upload(run_dir: Path, *, uri: str | None = None, was_killed: bool = False) -> str:
    """Send one run folder and note in its run.json where it went; says what was done.

    Args:
        uri: The store; by default the one that the run was meant for, then MLFLOW_TRACKING_URI,
            then sqlite:///mlflow.db in the current folder.
        was_killed: Take a run that still says `running` for one whose process is gone.

    Raises:
        FileNotFoundError: `run_dir` is no run folder.
        ValueError: the run is still going on, or run.json or `uri` make no sense.
        ConnectionError: the store failed; says how.
        FolderInUseError: the run, or another upload of it, is going on.
    """
    with alone_in(run_dir):
        return _upload(run_dir, uri=uri, was_killed=was_killed)


def _upload(run_dir: Path, *, uri: str | None, was_killed: bool) -> str:
    from rdad.tracking import MlflowTracker

    record = _read_record(run_dir, was_killed=was_killed)
    before = record["tracking"]
    known = shown_uri(before["uri"] or "")
    target = uri or (kept_uri(before["uri"]) if known else default_uri())
    tracker = MlflowTracker(target, **_of_model(run_dir))
    store = tracker.shown_uri
    if uri is None and known and store != shown_uri(absolute_uri(default_uri())):
        named = f"{run_dir}: the store is the one that its {RECORD_FILE} names: {store}"
        with reader_may_leave():
            print(visible(f"{named}; --uri names another"))
    run_id = before["run_id"] if known == store else None
    if run_id and before["error"] is None and tracker.holds(run_id):
        return f"{run_dir}: already in {store} as run {run_id}"
    if tracker.error is None:
        _send(tracker, record, run_dir, run_id)
    if tracker.error is not None:
        raise ConnectionError(f"MLflow store {store} {tracker.error}")
    without = f", without its model: {tracker.model_error}" if tracker.model_error else ""
    return f"{run_dir}: sent to {store} as run {tracker.run_id}{without}"


def _send(
    tracker: "MlflowTracker", record: dict[str, Any], run_dir: Path, run_id: str | None
) -> None:
    """The calls that a training makes, from what it left on disk.

    The run's id is written down as soon as there is one, so that a second try goes on in it.
    """
    metrics = read_metrics(run_dir) if (run_dir / METRICS_FILE).is_file() else {}
    read_history(run_dir)  # a table that cannot be sent leaves no run half told
    facts = {name: record[name] for name in FACTS}
    tracker.start(**facts, run_id=run_id, started=_moment(record, "started"))
    if tracker.run_id is None:
        return
    known = {"uri": tracker.shown_uri, "run_id": tracker.run_id}
    unsent = {"tracking": known | {"error": "not sent in full"}}
    write_json(run_dir / RECORD_FILE, record | unsent)
    tracker.finish(run_dir, STATUS[record["status"]], metrics, _moment(record, "ended"))
    write_json(run_dir / RECORD_FILE, record | {"tracking": known | {"error": tracker.error}})


def _of_model(run_dir: Path) -> dict[str, Any]:
    """What `tracking.log_model` and `log_encoder` were; nothing where it was tracking=off."""
    tracking = read_config(run_dir).get("tracking")
    known = tracking if isinstance(tracking, Mapping) else {}
    asked = ((name, known.get(name)) for name in ("log_model", "log_encoder"))
    return {name: value for name, value in asked if isinstance(value, bool)}


def _moment(record: dict[str, Any], key: str) -> datetime | None:
    try:
        return datetime.fromisoformat(record[key]) if key in record else None
    except ValueError as error:
        raise ValueError(f"{RECORD_FILE}: {key} is no time: {record[key]!r}") from error


def _read_record(run_dir: Path, *, was_killed: bool) -> dict[str, Any]:
    """run.json, checked."""
    for name in (RECORD_FILE, CONFIG_FILE, HISTORY_FILE, METRICS_FILE):
        if leads_out(run_dir / name, run_dir):
            raise ValueError(f"{name} is a link that leads out of the folder; nothing is sent")
    record = read_record(run_dir, *FACTS)
    record["tracking"] = record.get("tracking") or NOWHERE
    if record["status"] == "running" and was_killed:
        record["status"] = "interrupted"
    if record["status"] not in STATUS:
        raise ValueError(
            f"the run is {record['status']!r}, expected {', '.join(STATUS)}; "
            "if its process was killed, add --was-killed"
        )
    return record


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rdad.upload",
        description="Send finished run folders to MLflow: those whose store was out of reach, "
        "or that were made with tracking=off. What is already there is not sent again.",
        epilog="example: python -m rdad.upload outputs/2026-01-31/12-00-00",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run folder")
    parser.add_argument(
        "--uri",
        help="the store (default: the one the run was meant for, else MLFLOW_TRACKING_URI, "
        f"else {DEFAULT_URI})",
    )
    parser.add_argument(
        "--was-killed",
        action="store_true",
        help="send a run that still says 'running' as interrupted: its process is gone",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

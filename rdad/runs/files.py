"""The files of a run folder: their names, and the small ones, written whole or not at all."""

import csv
import errno
import io
import json
import math
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
CALIBRATION_FILE = "calibration.csv"
SCORES_FILE = "scores.csv"
MODEL_FILE = "model.pt"
CHECKPOINT_FILE = "checkpoint.ckpt"
REPORT_FILE = "report.html"
LOG_FILE = "train.log"
CURVES_FOLDER, MAPS_FOLDER, OVERLAYS_FOLDER = "curves", "anomaly_maps", "overlays"

BLOCK_BYTES = 512  # that st_blocks counts
DRAFT = ".draft-"
"""How the names begin of files and folders that are there only while something is written."""

IRREGULAR = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DiskFullError(OSError):
    """The message names the file and what to do."""


def irregular(path: Path) -> str | None:
    """What stands at `path`, links followed, if reading it might wait for ever or never end.

    None for files, for folders, and for what is not there or cannot be asked.
    """
    try:
        return IRREGULAR.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return None


def resolved(path: Path) -> Path:
    """As `Path.resolve`, which before Python 3.13 raises a RuntimeError for links in a circle."""
    return Path(os.path.realpath(path))


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a new file, which then takes the place of `path`; makes the folders.

    Readers see the old content or the new, also when the process is killed on the way.

    Raises:
        OSError: the file cannot be written; the old one is as it was, and nothing else is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{DRAFT}{uuid.uuid4().hex}{path.suffix}")
    try:
        write(draft)
        os.replace(draft, path)  # noqa: PTH105  the name says that it overwrites
    except OSError as error:
        raise explained(error, path) from error
    finally:
        draft.unlink(missing_ok=True)


def explained(error: OSError, path: Path) -> OSError:
    """A DiskFullError where `path` could not be written for that reason, else `error` itself."""
    if isinstance(error, DiskFullError) or error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    free = shutil.disk_usage(path.parent).free
    return DiskFullError(
        error.errno,
        f"the disk is full, cannot write {path}; it has {free:,} bytes left: free space in "
        f"{path.parent}, or choose another folder",
    )


def remove_drafts(folder: Path, pattern: str = f"{DRAFT}*") -> None:
    """Take away what a killed process left half written; nobody else may be writing there."""
    for draft in sorted(folder.glob(pattern)):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text by `write_atomic`, and have it on the disk before the old text is gone."""

    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    write_atomic(path, write)


def write_over(path: Path, text: str) -> None:
    """Write into the blocks that a file has, where a full disk has no others; never in part.

    Raises:
        OSError: the text is longer than those.
    """
    new = text.encode(errors="surrogateescape")
    with path.open("r+b") as file:
        status = os.fstat(file.fileno())
        if len(new) > status.st_blocks * BLOCK_BYTES:
            raise DiskFullError(errno.ENOSPC, f"the disk is full, cannot write {path}")
        file.write(new.ljust(status.st_size))


def write_json(path: Path, content: object) -> None:
    """Write strict JSON for people to read, by `write_text_atomic`.

    Raises:
        ValueError: a number in it is not finite, which JSON cannot say.
    """
    write_text_atomic(path, as_json(content))


def as_json(content: object) -> str:
    """The text of `write_json`."""
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file; floats keep their full precision."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    write_text_atomic(path, text.getvalue())


def write_metrics(run_dir: Path, metrics: Mapping[str, float]) -> None:
    """Write `metrics.json`: strict JSON, so an undefined metric (nan) is null.

    Raises:
        ValueError: a metric is infinite, which JSON cannot say.
    """
    infinite = [name for name, value in metrics.items() if math.isinf(value)]
    if infinite:
        raise ValueError(f"a metric is a finite number or nan; infinite: {', '.join(infinite)}")
    values = {name: None if math.isnan(value) else float(value) for name, value in metrics.items()}
    write_json(run_dir / METRICS_FILE, values)


def read_metrics(run_dir: Path) -> dict[str, float]:
    """The metrics of `write_metrics`, null being nan.

    Raises:
        FileNotFoundError: the run has no metrics, because it was not tested.
        ValueError: the file is not what `write_metrics` writes.
    """
    path = run_dir / METRICS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {METRICS_FILE} in {run_dir}; the run has not been tested")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: math.nan if value is None else float(value) for name, value in values.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON object of numbers: {error}") from error


def append_history(run_dir: Path, row: Mapping[str, float]) -> None:
    """Add an epoch's figures to `history.csv`; new columns go to the right.

    Args:
        row: `epoch`, counted from 1, and metrics. Figures of an epoch that is there already are
            joined to it. Rows of later epochs, left by an attempt that was stopped, are dropped.
    """
    epoch = int(row["epoch"])
    history = [earlier for earlier in read_history(run_dir) if earlier["epoch"] <= epoch]
    before = history.pop() if history and history[-1]["epoch"] == epoch else {}
    write_history(run_dir, [*history, {**before, **row, "epoch": epoch}])


def write_history(run_dir: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write `history.csv` whole: a row an epoch, each with `epoch` and figures of its own."""
    columns = list(dict.fromkeys(["epoch", *chain.from_iterable(history)]))
    rows = [[figures.get(column, "") for column in columns] for figures in history]
    write_table(run_dir / HISTORY_FILE, columns, rows)


def read_history(run_dir: Path) -> list[dict[str, float]]:
    """The epochs in order, each with the figures that it has; empty before the first one.

    They are counted from 1, also where the file counts from 0, as version 0.1.0 did.

    Raises:
        ValueError: the file holds something else than numbers.
    """
    path = run_dir / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = [_numbers(row) for row in csv.DictReader(file)]
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise ValueError(f"{path} is not a table of numbers with an epoch: {error}") from error
    first = 1 if rows and rows[0]["epoch"] == 0 else 0
    return [row | {"epoch": row["epoch"] + first} for row in rows]


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    figures = {name: float(cell) for name, cell in row.items() if name != "epoch" and cell != ""}
    return {"epoch": int(row["epoch"]), **figures}

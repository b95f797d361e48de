"""The small text files of a run folder, each written whole or not at all."""

import csv
import io
import json
import math
import os
import re
import stat
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
CALIBRATION_FILE = "calibration.csv"
IRREGULAR = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def irregular(path: Path) -> str | None:
    """What stands at `path`, links followed, if reading it might wait for ever or never end.

    None for files, for folders, and for what is not there or cannot be asked.
    """
    try:
        return IRREGULAR.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return None


def as_text(name: str) -> str:
    """The name with _ for each byte that is no UTF-8, which Python keeps as a surrogate."""
    return re.sub("[\ud800-\udfff]", "_", name)


def let_print_any_name() -> None:
    """From now on standard output takes names that are no UTF-8, and gives their bytes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a new file, which then takes the place of `path`; makes the folders.

    Readers see the old content or the new, also when the process is killed on the way.

    Raises:
        OSError: the file cannot be written; the old one is as it was, and nothing else is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        write(draft)
        os.replace(draft, path)  # noqa: PTH105  the name says that it overwrites
    finally:
        draft.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text by `write_atomic`, and have it on the disk before the old text is gone."""

    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    write_atomic(path, write)


def write_json(path: Path, content: object) -> None:
    """Write strict JSON for people to read, by `write_text_atomic`.

    Raises:
        ValueError: a number in it is not finite, which JSON cannot say.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_text_atomic(path, text + "\n")


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


def write_calibration(run_dir: Path, images: Iterable[Path], scores: Iterable[float]) -> None:
    """Write `calibration.csv`: the images that were held back, and their raw scores."""
    rows = zip(images, scores, strict=True)
    write_table(run_dir / CALIBRATION_FILE, ("image", "score"), rows)


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
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a JSON object of numbers: {error}") from error


def append_history(run_dir: Path, row: Mapping[str, float]) -> None:
    """Add an epoch's figures to `history.csv`; new columns go to the right.

    Args:
        row: `epoch` and metrics. Figures of an epoch that is there already are joined to it. Rows
            of later epochs, left by an attempt that was stopped, are dropped.

    Raises:
        ValueError: the row does not say its `epoch`.
    """
    if "epoch" not in row:
        raise ValueError(f"a row of {HISTORY_FILE} needs the key epoch; it has {sorted(row)}")
    epoch = int(row["epoch"])
    history = [earlier for earlier in read_history(run_dir) if earlier["epoch"] <= epoch]
    if history and history[-1]["epoch"] == epoch:
        history[-1] = {**history[-1], **row, "epoch": epoch}
    else:
        history.append({**row, "epoch": epoch})
    write_history(run_dir, history)


def write_history(run_dir: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write `history.csv` whole: a row an epoch, each with `epoch` and figures of its own."""
    columns = list(dict.fromkeys(["epoch", *(name for earlier in history for name in earlier)]))
    rows = [[_cell(earlier, column) for column in columns] for earlier in history]
    write_table(run_dir / HISTORY_FILE, columns, rows)


def _cell(row: Mapping[str, float], column: str) -> float | int | str:
    if column not in row:
        return ""
    return int(row[column]) if column == "epoch" else float(row[column])


def read_history(run_dir: Path) -> list[dict[str, float]]:
    """The epochs in order, each with the figures that it has; empty before the first one.

    Raises:
        ValueError: the file holds something else than numbers.
    """
    path = run_dir / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return [_numbers(row) for row in csv.DictReader(file)]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is not a table of numbers with an epoch: {error}") from error


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    figures = {name: float(cell) for name, cell in row.items() if name != "epoch" and cell != ""}
    return {"epoch": int(row["epoch"]), **figures}

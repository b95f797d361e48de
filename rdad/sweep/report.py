"""How a sweep ends: the comparison of its jobs, and one list of those that gave no result."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rdad.results.text_table import short
from rdad.runs.ending import end_in_order_when_terminated
from rdad.sweep.comparison import Row, compared
from rdad.sweep.comparison_files import write_comparison
from rdad.sweep.comparison_text import counted, terminal, without_result
from rdad.sweep.jobs import LOG_FILE, read_jobs
from rdad.sweep.plan import planned_jobs

log = logging.getLogger(__name__)

LONGEST_REASON = 300

_planned: dict[Path, int | None] = {}
_reported: dict[Path, list[Row]] = {}


class SweepReport(Callback):
    """Notes that this process runs a sweep, and reports at its end.

    Where a job fails or the sweep is stopped Hydra tells nobody: `report_sweep` does it then.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _planned[Path(config.hydra.sweep.dir).absolute()] = planned_jobs(config)
        end_in_order_when_terminated()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        report(Path(config.hydra.sweep.dir).absolute())


def report_sweep() -> bool:
    """Report the sweep of this process, if it ran one; gives whether MLflow has all its results."""
    for sweep_dir in _planned:
        report(sweep_dir)
    return not any(untracked(rows) for rows in _reported.values())


def report(sweep_dir: Path) -> None:
    """Write the comparison into the sweep's folder and print it, once in this process."""
    if sweep_dir in _reported:
        return
    _reported[sweep_dir] = rows = _rows(sweep_dir)
    if not rows:
        return
    try:
        write_comparison(rows, sweep_dir)
    except OSError as error:
        log.warning("the comparison could not be written: %s", error)
    print("\n".join(_lines(rows, sweep_dir)), flush=True)


def _lines(rows: Sequence[Row], sweep_dir: Path) -> list[str]:
    """The table, how many jobs there were, and what to do about those without a result."""
    shown = short(sweep_dir)
    lost, waiting = without_result(rows), (_planned.get(sweep_dir) or len(rows)) - len(rows)
    lines = ["", terminal(rows), "", counted(rows) + (f", {waiting} not started" * (waiting > 0))]
    for row in lost:
        reason = row.job.reason
        cut = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
        lines += [f"  {row.name}: {cut}", f"    {short(row.job.folder / LOG_FILE)}"]
    if lost or waiting > 0:
        command = f"python -m rdad.train resume_sweep={shlex.quote(str(shown))}"
        lines.append(f"run what is missing with  {command}")
    if unsent := untracked(rows):
        folders = " ".join(shlex.quote(str(short(row.job.folder))) for row in unsent)
        lines.append(f"not in MLflow: {len(unsent)}; send with  python -m rdad.upload {folders}")
    return [*lines, f"sweep folder  {shown}  (comparison.csv, comparison.md, comparison.png)"]


def _rows(sweep_dir: Path) -> list[Row]:
    """None where the sweep was refused before its first job."""
    try:
        return compared(read_jobs([sweep_dir]))
    except FileNotFoundError:
        return []


def untracked(rows: Sequence[Row]) -> list[Row]:
    """Jobs with a result that the MLflow store did not take."""
    return [row for row in rows if (row.job.record.get("tracking") or {}).get("error")]

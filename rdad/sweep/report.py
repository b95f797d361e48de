"""How a sweep ends: the comparison of its jobs, and one list of those that gave no result."""

import logging
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rdad.results.text_table import short
from rdad.runs.ending import end_in_order_when_terminated, reader_may_leave
from rdad.runs.files import LOG_FILE, write_table, write_text_atomic
from rdad.runs.names import visible
from rdad.sweep import paper_table_text
from rdad.sweep.comparison import job_lines
from rdad.sweep.comparison_page import write_comparison_page
from rdad.sweep.comparison_text import counted, markdown, terminal
from rdad.sweep.jobs import Job, read_jobs
from rdad.sweep.paper_table import paper_tables
from rdad.sweep.plan import planned_jobs

log = logging.getLogger(__name__)

CSV_FILE, PAGE_FILE, FIGURE_FILE = "comparison.csv", "comparison.md", "comparison.png"
HTML_FILE = "comparison.html"
BENCHMARK = "benchmark"  # .csv, .md and .tex
LONGEST_REASON = 300

_planned: dict[Path, int | None] = {}


class SweepReport(Callback):
    """Notes that this process runs a sweep, and reports at its end.

    Where a job fails or the sweep is stopped Hydra tells nobody: `report_sweep` does it then.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder, count = Path(config.hydra.sweep.dir).absolute(), planned_jobs(config)
        _planned[folder] = count
        end_in_order_when_terminated()
        jobs = "jobs" if count is None else f"{count} job{'s' * (count > 1)}"
        with reader_may_leave():
            print(visible(f"{jobs} into {short(folder)}, each with its log"), flush=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        report(Path(config.hydra.sweep.dir).absolute())


def report_sweep() -> bool:
    """Report the sweep of this process, if it ran one; gives whether MLflow has all its results."""
    reported = [report(sweep_dir) for sweep_dir in _planned]
    return not any(map(_untracked, reported))


@cache
def report(sweep_dir: Path) -> list[Job]:
    """Write the comparison into the sweep's folder and print it, once in this process.

    Returns:
        The sweep's jobs; none where it was refused before the first.
    """
    try:
        jobs = read_jobs([sweep_dir])
    except FileNotFoundError:
        return []
    written: list[str] = []
    try:
        written = write_comparison(jobs, sweep_dir)
    except OSError as error:
        log.warning("the comparison could not be written: %s", error)
    with reader_may_leave():
        print(visible("\n".join(_lines(jobs, sweep_dir, written))))
    return jobs


def write_comparison(jobs: Sequence[Job], folder: Path) -> list[str]:
    """Write comparison.csv, .md, .png and .html, each whole or not at all.

    Of several categories of a data set also benchmark.csv, benchmark.md and benchmark.tex.

    Returns:
        The files' names.

    Raises:
        OSError: a file cannot be written.
    """
    from rdad.results.curves import write_chart
    from rdad.sweep.comparison_figure import comparison_figure

    lines = job_lines(jobs)
    write_table(folder / CSV_FILE, list(lines[0]), [list(line.values()) for line in lines])
    write_text_atomic(folder / PAGE_FILE, markdown(jobs, picture=FIGURE_FILE))
    write_chart(folder / FIGURE_FILE, comparison_figure(jobs))
    plots = (folder / FIGURE_FILE).read_bytes()
    write_comparison_page(folder / HTML_FILE, jobs, plots=plots)
    written = [HTML_FILE, CSV_FILE, PAGE_FILE, FIGURE_FILE]
    if tables := paper_tables(jobs):
        written += [f"{BENCHMARK}{ending}" for ending in (".csv", ".md", ".tex")]
        columns, found = paper_table_text.rows(tables)
        write_table(folder / f"{BENCHMARK}.csv", columns, found)
        write_text_atomic(folder / f"{BENCHMARK}.md", paper_table_text.markdown(tables))
        write_text_atomic(folder / f"{BENCHMARK}.tex", paper_table_text.latex(tables))
    return written


def _lines(jobs: Sequence[Job], sweep_dir: Path, written: Sequence[str]) -> list[str]:
    """The table, how many jobs there were, and what to do about those without a result."""
    shown, lost = short(sweep_dir), [job for job in jobs if not job.finished]
    waiting = (_planned.get(sweep_dir) or len(jobs)) - len(jobs)
    lines = ["", terminal(jobs), "", counted(jobs) + (f", {waiting} not started" * (waiting > 0))]
    for job in lost:
        reason = job.reason
        cut = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
        lines += [f"  {job.name}: {cut}", f"    {short(job.folder / LOG_FILE)}"]
    if lost or waiting > 0:
        command = f"python -m rdad.train resume_sweep={shlex.quote(str(shown))}"
        lines.append(f"run what is missing with  {command}")
    if unsent := _untracked(jobs):
        folders = " ".join(shlex.quote(str(short(job.folder))) for job in unsent)
        lines.append(f"not in MLflow: {len(unsent)}; send with  python -m rdad.upload {folders}")
    return [*lines, f"sweep folder  {shown}  ({', '.join(written)})"]


def _untracked(jobs: Sequence[Job]) -> list[Job]:
    """Jobs with a result that the MLflow store did not take."""
    return [job for job in jobs if (job.record.get("tracking") or {}).get("error")]

"""python -m rdad.compare: the jobs of a sweep side by side, from their folders alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rdad.runs.ending import reader_may_leave
from rdad.runs.folder import have_a_home
from rdad.runs.names import visible
from rdad.sweep.benchmark import Benchmark, benchmarks
from rdad.sweep.benchmark_text import verdicts
from rdad.sweep.comparison_text import counted, terminal
from rdad.sweep.jobs import Job, read_jobs
from rdad.sweep.published import known_datasets
from rdad.sweep.report import CSV_FILE, FIGURE_FILE, HTML_FILE, PAGE_FILE, write_comparison

AGAINST = "against=published"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    have_a_home()
    with reader_may_leave():
        given = _parser().parse_args(arguments).folders
    folders = [one for one in given if str(one) != AGAINST]
    try:
        jobs = read_jobs(folders)
        written = write_comparison(jobs, folders[0])
        against = verdicts(_published(jobs)) if folders != given else ""
    except (OSError, ValueError) as error:
        print(visible(f"rdad.compare: {error}"), file=sys.stderr)
        return 1
    with reader_may_leave():
        print(visible(f"{terminal(jobs)}\n\n{counted(jobs)}"))
        for job in jobs:
            if not job.finished:
                print(visible(f"  {job.name}: {job.reason}"))
        if against:
            print(visible(f"\n{against}"))
        print(f"\nwritten: {folders[0] / written[0]}, {', '.join(written[1:])}")
    return 0


def _published(jobs: Sequence[Job]) -> list[Benchmark]:
    tables = [table for table in benchmarks(jobs) if table.sources]
    if not tables:
        raise ValueError(
            f"{AGAINST}: no figures are published for these runs; they are of several categories "
            f"of {', '.join(known_datasets())}"
        )
    return tables


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rdad.compare",
        description="Lay the jobs of a sweep side by side: whatever has finished, from the folders "
        f"alone. Writes {HTML_FILE}, {CSV_FILE}, {PAGE_FILE} and {FIGURE_FILE} into the first one.",
        epilog=f"{AGAINST} says of each category whether the published figures lie within the "
        "noise of the seeds. Example: python -m rdad.compare multirun/2026-01-31/12-00-00",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a sweep's folder, or a run's"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

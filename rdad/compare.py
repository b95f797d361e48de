"""python -m rdad.compare: the jobs of a sweep side by side, from their folders alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rdad.runs.ending import reader_may_leave
from rdad.runs.folder import have_a_home
from rdad.runs.names import visible
from rdad.sweep.comparison_text import counted, terminal
from rdad.sweep.jobs import read_jobs
from rdad.sweep.report import CSV_FILE, FIGURE_FILE, PAGE_FILE, write_comparison


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    have_a_home()
    with reader_may_leave():
        folders = _parser().parse_args(arguments).folders
    try:
        jobs = read_jobs(folders)
        write_comparison(jobs, folders[0])
    except (OSError, ValueError) as error:
        print(visible(f"rdad.compare: {error}"), file=sys.stderr)
        return 1
    with reader_may_leave():
        print(visible(f"{terminal(jobs)}\n\n{counted(jobs)}"))
        for job in jobs:
            if not job.finished:
                print(visible(f"  {job.name}: {job.reason}"))
        print(f"\nwritten: {folders[0] / CSV_FILE}, {PAGE_FILE}, {FIGURE_FILE}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rdad.compare",
        description="Lay the jobs of a sweep side by side: whatever has finished, from the folders "
        f"alone. Writes {CSV_FILE}, {PAGE_FILE} and {FIGURE_FILE} into the first folder.",
        epilog="example: python -m rdad.compare multirun/2026-01-31/12-00-00",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a sweep's folder, or a run's"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

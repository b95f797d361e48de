"""python -m rdad.compare: the jobs of a sweep side by side, from their folders alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rdad.runs.ending import reader_may_leave
from rdad.runs.files import write_table
from rdad.runs.folder import have_a_home
from rdad.runs.names import visible
from rdad.sweep.comparison_text import counted, terminal
from rdad.sweep.differences import differences, rows, table
from rdad.sweep.jobs import Job, read_jobs
from rdad.sweep.paper_table import PaperTable, paper_tables
from rdad.sweep.paper_table_text import verdicts
from rdad.sweep.published import known_datasets
from rdad.sweep.report import CSV_FILE, FIGURE_FILE, HTML_FILE, PAGE_FILE, write_comparison

DIFFERENCES_FILE = "differences.csv"
AGAINST, PUBLISHED = "against=", "published"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    have_a_home()
    with reader_may_leave():
        given = _parser().parse_args(arguments).folders
    folders = [Path(one) for one in given if not one.startswith(AGAINST)]
    asked = [one.removeprefix(AGAINST) for one in given if one.startswith(AGAINST)]
    try:
        if not folders:
            raise ValueError("name the folder of a sweep, as under multirun/<date>/<time>")
        jobs = read_jobs(folders)
        written = write_comparison(jobs, folders[0])
        tables = [_held_against(one, jobs, folders) for one in asked]
    except (OSError, ValueError) as error:
        print(visible(f"rdad.compare: {error}"), file=sys.stderr)
        return 1
    with reader_may_leave():
        if set(asked) <= {PUBLISHED}:  # settings held against one stand in its table
            tables = [terminal(jobs), *tables]
        print(visible("\n\n".join([*tables, counted(jobs)])))
        for job in jobs:
            if not job.finished:
                print(visible(f"  {job.name}: {job.reason}"))
        print(visible(f"\nwritten: {folders[0] / written[0]}, {', '.join(written[1:])}"))
    return 0


def _held_against(asked: str, jobs: Sequence[Job], folders: Sequence[Path]) -> str:
    """What papers have, or one of the settings."""
    if asked == PUBLISHED:
        return verdicts(_published(jobs))
    means, found = differences(jobs, folders, asked)
    write_table(folders[0] / DIFFERENCES_FILE, *rows(found))
    return table(means, found, asked)


def _published(jobs: Sequence[Job]) -> list[PaperTable]:
    tables = [table for table in paper_tables(jobs) if table.sources]
    if not tables:
        raise ValueError(
            f"{AGAINST}{PUBLISHED}: no figures are published for these runs; they are of several "
            f"categories of {', '.join(known_datasets())}"
        )
    return tables


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rdad.compare",
        description="Lay the jobs of a sweep side by side: whatever has finished, from the folders "
        f"alone. Writes {HTML_FILE}, {CSV_FILE}, {PAGE_FILE} and {FIGURE_FILE} into the first one.",
        epilog=f"{AGAINST}{PUBLISHED} says of each category whether the published figures lie "
        f"within the noise of the seeds; {AGAINST}'a setting as the table names it' how far the "
        f"others are from that one, paired over folders, categories and seeds (also in "
        f"{DIFFERENCES_FILE}). Example: python -m rdad.compare multirun/2026-01-31/12-00-00",
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="a sweep's folder, or a run's")
    return parser


if __name__ == "__main__":
    sys.exit(main())

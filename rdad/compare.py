"""python -m rdad.compare: the jobs of a sweep side by side, from their folders alone."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.comparison import COSTS, Row, compared, metric_names
from rdad.comparison_text import counted, markdown, terminal, without_result
from rdad.run_files import write_atomic, write_table, write_text_atomic
from rdad.sweep_jobs import read_jobs

if TYPE_CHECKING:
    import pandas as pd

CSV_FILE, PAGE_FILE, FIGURE_FILE = "comparison.csv", "comparison.md", "comparison.png"


def compare_runs(*sweep_dirs: str | Path) -> "pd.DataFrame":
    """One row a job, named after its folder.

    Returns:
        First what was varied, one column each; then the overall metrics, as image_auroc, nan
        where undefined or not reached; train_seconds, images_per_second and peak_memory_mib;
        reused (the training, and so its seconds, were another run's); status; reason, where a
        job has no result.

    Raises:
        FileNotFoundError: a folder is not there, or holds no run.
    """
    import pandas as pd

    rows = compared(read_jobs(map(Path, sweep_dirs)))
    return pd.DataFrame(job_lines(rows)).set_index("job")


def job_lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the frame and the CSV file hold of each job, by column."""
    metrics = metric_names(rows)
    return [
        {
            "job": row.name,
            **row.setting,
            **{name: row.job.metrics.get(name, math.nan) for name in metrics},
            **{name: row.cost(name) for name in COSTS},
            "reused": row.reused,
            "status": row.job.status,
            "reason": row.job.reason,
        }
        for row in rows
    ]


def write_comparison(rows: Sequence[Row], folder: Path) -> None:
    """Write comparison.csv, comparison.md and comparison.png, each whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    from rdad.comparison_figure import comparison_figure

    lines = job_lines(rows)
    write_table(folder / CSV_FILE, list(lines[0]), [list(line.values()) for line in lines])
    write_text_atomic(folder / PAGE_FILE, markdown(rows, picture=FIGURE_FILE))
    write_atomic(folder / FIGURE_FILE, comparison_figure(rows).savefig)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    folders = _parser().parse_args(arguments).folders
    try:
        rows = compared(read_jobs(folders))
        write_comparison(rows, folders[0])
    except (OSError, ValueError) as error:
        print(f"rdad.compare: {error}", file=sys.stderr)
        return 1
    print(f"{terminal(rows)}\n\n{counted(rows)}")
    for row in without_result(rows):
        print(f"  {row.name}: {row.job.reason}")
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

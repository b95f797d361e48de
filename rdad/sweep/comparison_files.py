"""A comparison as a table for programs, and as files in the sweep's folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.runs.files import write_atomic, write_table, write_text_atomic
from rdad.sweep.comparison import Row, compared, metric_names
from rdad.sweep.comparison_text import markdown
from rdad.sweep.jobs import read_jobs

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
            **row.job.costs,
            "reused": row.job.reused,
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
    from rdad.sweep.comparison_figure import comparison_figure

    lines = job_lines(rows)
    write_table(folder / CSV_FILE, list(lines[0]), [list(line.values()) for line in lines])
    write_text_atomic(folder / PAGE_FILE, markdown(rows, picture=FIGURE_FILE))
    write_atomic(folder / FIGURE_FILE, comparison_figure(rows).savefig)

"""A comparison as a table for programs, and as files in the sweep's folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.runs.files import write_atomic, write_table, write_text_atomic
from rdad.sweep.comparison import metric_names
from rdad.sweep.comparison_text import markdown
from rdad.sweep.jobs import Job, read_jobs

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

    return pd.DataFrame(_lines(read_jobs(map(Path, sweep_dirs)))).set_index("job")


def _lines(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """What the frame and the CSV file hold of each job, by column."""
    metrics = metric_names(jobs)
    return [
        {
            "job": job.name,
            **job.setting,
            **{name: job.metrics.get(name, math.nan) for name in metrics},
            **job.costs,
            "reused": job.reused,
            "status": job.status,
            "reason": job.reason,
        }
        for job in jobs
    ]


def write_comparison(jobs: Sequence[Job], folder: Path) -> None:
    """Write comparison.csv, comparison.md and comparison.png, each whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    from rdad.sweep.comparison_figure import comparison_figure

    lines = _lines(jobs)
    write_table(folder / CSV_FILE, list(lines[0]), [list(line.values()) for line in lines])
    write_text_atomic(folder / PAGE_FILE, markdown(jobs, picture=FIGURE_FILE))
    write_atomic(folder / FIGURE_FILE, comparison_figure(jobs).savefig)

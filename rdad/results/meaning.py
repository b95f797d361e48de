"""What a test means and what comes next, in three lines, read from the files that it left."""

import csv
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from rdad.metrics.chance import chance_auroc
from rdad.results.text_table import short
from rdad.runs.files import REPORT_FILE, SCORES_FILE, read_history

Row: TypeAlias = Mapping[str, str]


def meaning(folder: Path, metrics: Mapping[str, float], source: str | Path) -> list[str]:
    """How many defects were found, whether that is more than chance, and the next command.

    Nothing where the folder has no scores.

    Args:
        folder: Of the test's results.
        metrics: By their names in MLflow.
        source: What `rdad.predict` opens.
    """
    scores, report = folder / SCORES_FILE, folder / REPORT_FILE
    if not scores.is_file():
        return []
    with scores.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = f"report: {short(report)}; " if report.is_file() else ""
    return [
        verdicts(rows),
        against_chance(rows, metrics, epochs=len(read_history(folder))),
        f"{shown}next: python -m rdad.predict {shlex.quote(str(source))} IMAGES",
    ]


def verdicts(rows: Sequence[Row]) -> str:
    """Of rows of scores.csv, how many defects were found and how many good images refused."""
    if not any(row["predicted"] for row in rows):
        return "no image was judged: there is no threshold (dataset.calibration holds images back)"
    parts = []
    for label, what, verb in (("1", "defect", "found"), ("0", "good image", "refused")):
        called = [row["predicted"] == "1" for row in rows if row["label"] == label]
        if called:
            plural = "s" * (len(called) > 1)
            were = "was" if 1 in (sum(called), len(called)) else "were"
            parts.append(f"of {len(called)} {what}{plural} {sum(called)} {were} {verb}")
    return ", ".join(parts)


def against_chance(rows: Sequence[Row], metrics: Mapping[str, float], *, epochs: int) -> str:
    """Whether the image AUROC is above what chance reaches with so many images."""
    counted = Counter((row.get("category", ""), row["label"]) for row in rows)
    categories = dict.fromkeys(category for category, _ in counted)
    counts = [(counted[one, "1"], counted[one, "0"]) for one in categories]
    limit, reached = chance_auroc(counts), metrics.get("test/image_auroc", math.nan)
    if math.isnan(limit) or math.isnan(reached):
        return "better than chance or not: that takes good and defective test images"
    bad, good = (sum(column) for column in zip(*counts, strict=True))
    told = (
        f"image AUROC {reached:.3f}, where chance reaches {min(limit, 1):.3f} with {bad} defective "
        f"and {good} good images"
    )
    if reached > limit:
        return f"better than chance: {told}"
    after = f" after {epochs} epoch{'s' if epochs > 1 else ''}" if epochs else ""
    return (
        f"no better than chance{after}: {told}; what may help: longer training "
        "(trainer.max_epochs), another encoder (backbone), tiles (dataset.tile); docs/reading.md "
        "has more causes, and how to tell them"
    )

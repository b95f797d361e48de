"""What a report says beside its images, gathered from the run folder as plain data."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdad.results.gathered import Gathered
from rdad.runs.files import read_history, read_metrics

if TYPE_CHECKING:
    from rdad.metrics import Curve
    from rdad.metrics.thresholds import Thresholds

CURVE_POINTS = 300  # about the pixels that a chart of the page is wide


@dataclass(frozen=True)
class ReportSubject:
    """What a report is about, as its head says it.

    Attributes:
        title: Such as the category.
        settings: By name, in the order shown; `backbone`, `mode`, `layers` and `dataset` stand in
            the head, where there are any.
        date: ISO 8601.
        source: What `rdad.predict` opens to judge as the report does; None where nothing does.
        again: The command that trains on from here with what a list names as good images, and
            the `list`'s path as a shell takes it; None where the data set takes no list.
    """

    title: str
    settings: Mapping[str, str | int | float]
    date: str
    source: str | None = None
    again: Mapping[str, str] | None = None


def contents(run_dir: Path, subject: ReportSubject, gathered: Gathered) -> dict[str, Any]:
    """Plain data for the page; what the folder does not hold is empty."""
    from rdad.results.charts import COLOURS, NORMAL_COLOUR
    from rdad.results.pictures import PREDICTED_COLOUR, TRUE_COLOUR

    command = subject.source and f"python -m rdad.predict {shlex.quote(subject.source)} IMAGES"
    return {
        **asdict(subject),
        "command": command,
        "metrics": _metrics(run_dir),
        "loss": _losses(run_dir),
        "curves": {name: _thinned(curve) for name, curve in gathered.curves.items()},
        "fpr_limit": gathered.fpr_limit,
        "thresholds": gathered.thresholds and _stored(gathered.thresholds),
        "undefined": gathered.undefined,
        "colours": {
            "normal": NORMAL_COLOUR,
            "defects": COLOURS,
            "heat": _heat_colours(),
            "true": _css(TRUE_COLOUR),
            "predicted": _css(PREDICTED_COLOUR),
        },
        "limits": [value if math.isfinite(value) else None for value in gathered.limits],
    }


def _stored(thresholds: "Thresholds") -> dict[str, Any]:
    """Without one for pixels where each category has its own."""
    return {
        "image": thresholds.image.value,
        "pixel": None if thresholds.by_category else thresholds.pixel.value,
        "image_rate": thresholds.image_rate,
        "images": thresholds.images,
        "guaranteed": thresholds.guaranteed,
        "note": thresholds.note,
    }


def _metrics(run_dir: Path) -> dict[str, float | None]:
    """By their names without test/; an undefined one is None."""
    try:
        metrics = read_metrics(run_dir)
    except FileNotFoundError:
        return {}
    return {
        name.removeprefix("test/"): None if math.isnan(value) else value
        for name, value in metrics.items()
    }


def _losses(run_dir: Path) -> dict[str, list[list[float]]]:
    """(epoch, loss) by the names of the losses."""
    history = read_history(run_dir)
    names = dict.fromkeys(name for row in history for name in row if name.endswith("loss"))
    return {
        name: [
            [row["epoch"], row[name]] for row in history if math.isfinite(row.get(name, math.nan))
        ]
        for name in names
    }


def _thinned(curve: "Curve") -> list[list[float]]:
    """As many points as a chart can show, the first and the last among them."""
    count = min(len(curve.fpr), CURVE_POINTS)
    kept = np.unique(np.rint(np.linspace(0, len(curve.fpr) - 1, count)).astype(int))
    return [[round(value, 5) for value in point] for point in np.transpose(curve)[kept].tolist()]


def _heat_colours() -> list[str]:
    """The colour scale at even steps, as CSS writes colours."""
    from rdad.results.pictures import heat_map

    steps = heat_map(np.linspace(0.0, 1.0, 9)[None], 0.0, 1.0)[0]
    return [_css(step.tolist()) for step in steps]


def _css(colour: Sequence[int]) -> str:
    return f"#{bytes(colour).hex()}"

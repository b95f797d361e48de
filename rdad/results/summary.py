"""Metrics and thresholds as a command prints them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds


def metrics_table(metrics: Mapping[str, float], thresholds: "Thresholds | None") -> str:
    """The metrics over all defect types, a line each, and the thresholds that some of them use."""
    overall = {name: value for name, value in metrics.items() if name.count("/") == 1}
    width = max(map(len, overall))
    lines = ["", *(f"  {name:<{width}}  {_figure(value)}" for name, value in overall.items()), ""]
    return "\n".join([*lines, f"thresholds  {thresholds or 'none'}"])


def short(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _figure(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"

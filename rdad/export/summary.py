"""What `python -m rdad.export` prints."""

from pathlib import Path
from typing import TYPE_CHECKING

from rdad.export.formats import Written
from rdad.export.sidecar import NO_THRESHOLDS
from rdad.results.text_table import aligned

if TYPE_CHECKING:
    from rdad.export.trial import Agreement, Trial

MB = 1e6


def summary(written: Written, trial: "Trial", shown: Path) -> str:
    """Differences from the network, latency and size.

    Args:
        shown: The folder as it is to be printed.
    """
    agreed = trial.agreement
    lines = [
        "",
        f"largest difference from the network on {agreed.images} of {agreed.available} "
        f"{agreed.described}",
        f"  {_differences(agreed)}",
    ]
    if agreed.network_auroc is not None and agreed.export_auroc is not None:
        lines.append(f"image AUROC  network {agreed.network_auroc:.4f}")
        lines[-1] += f"  export {agreed.export_auroc:.4f}"
    if trial.unhinted is not None and trial.unhinted.largest > 2 * agreed.largest:
        needed = " ".join(f"{name}={value}" for name, value in written.format.run_with.items())
        lines.append(f"opened without {needed} on this processor")
        lines.append(f"  {_differences(trial.unhinted)}")
    if "label" not in written.outputs:
        lines.append(NO_THRESHOLDS)
    return "\n".join([*lines, "", _table(written, trial), "", f"written: {shown}"])


def _differences(agreed: "Agreement") -> str:
    parts = [f"score {agreed.score:.2g}", f"map {agreed.anomaly_map:.2g}"]
    if agreed.normalised_score is not None:
        parts += [
            f"normalised score {agreed.normalised_score:.2g}",
            f"labels that differ {agreed.differing_labels}",
        ]
    return "  ".join(parts)


def _table(written: Written, trial: "Trial") -> str:
    height, width = trial.timed_on
    threads = "1 thread" if trial.threads == 1 else f"{trial.threads} threads"
    where = f"one image of {height} x {width}, {threads}"
    size = sum((written.folder / name).stat().st_size for name in written.format.files)
    rows = [
        ("network", "network in torch", trial.network_bytes),
        ("export", f"{written.format.name} {written.precision}", size),
    ]
    if not trial.latencies:
        return aligned([["", "MB"], *([name, f"{size / MB:.1f}"] for _, name, size in rows)])
    timed = [
        [name, f"{timing.p50_ms:.1f}", f"{timing.p95_ms:.1f}", f"{size / MB:.1f}"]
        for key, name, size in rows
        for timing in (trial.latencies[key],)
    ]
    return aligned([[where, "p50 ms", "p95 ms", "MB"], *timed])

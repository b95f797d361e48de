"""What `python -m rdad.export` prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.export.sidecar import NO_THRESHOLDS
from rdad.export.trial import largest
from rdad.results.text_table import aligned

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel


def summary(told: Mapping[str, Any], trained: "TrainedModel", folder: Path) -> str:
    """Differences from the network, latency and size.

    Args:
        told: What model.json says.
        folder: As it is to be printed.
    """
    agreed, unhinted = told["agreement"], told.get("without_run_with")
    lines = [
        "",
        f"largest difference from the network on {agreed['images']} of {agreed['available']} "
        f"{agreed['described']}",
        f"  {_differences(agreed)}",
    ]
    if "network_auroc" in agreed:
        aurocs = agreed["network_auroc"], agreed["export_auroc"]
        lines.append("image AUROC  network {:.4f}  export {:.4f}".format(*aurocs))
    if unhinted and not largest(unhinted) <= 2 * largest(agreed):  # nan is further off, too
        needed = " ".join(f"{name}={value}" for name, value in told["run_with"].items())
        lines += [f"opened without {needed} on this processor", f"  {_differences(unhinted)}"]
    lines.append(f"thresholds  {trained.thresholds or NO_THRESHOLDS}")
    return "\n".join([*lines, "", _table(told, trained), "", f"written: {folder}"])


def _differences(agreed: Mapping[str, Any]) -> str:
    parts = [f"score {agreed['score']:.2g}", f"map {agreed['anomaly_map']:.2g}"]
    if "normalised_score" in agreed:
        parts.append(f"normalised score {agreed['normalised_score']:.2g}")
        parts.append(f"labels that differ {agreed['differing_labels']}")
    return "  ".join(parts)


def _table(told: Mapping[str, Any], trained: "TrainedModel") -> str:
    latency = told["latency"]
    sizes = {
        "network": sum(one.nbytes for one in trained.model.state_dict().values()),
        "export": sum(file["bytes"] for file in told["files"].values()),
    }
    names = {"network": "network in torch", "export": f"{told['kind']} {told['precision']}"}
    rows = [[names[key], f"{size / 1e6:.1f}"] for key, size in sizes.items()]
    if not latency:
        return aligned([["", "MB"], *rows])
    for key, row in zip(sizes, rows, strict=True):
        row[1:1] = [f"{latency[key][name]:.1f}" for name in ("p50_ms", "p95_ms")]
    (height, width), threads = latency["image"], latency["threads"]
    where = f"one image of {height} x {width}, {threads} thread{'s' * (threads != 1)}"
    return aligned([[where, "p50 ms", "p95 ms", "MB"], *rows])

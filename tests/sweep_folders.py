"""A sweep's folder as its jobs leave it, made by hand for the tests of the comparison."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARAMS = {
    "dataset": "mvtec_ad",
    "category": "toothbrush",
    "backbone": "resnet18",
    "layers": "layer1+layer2+layer3",
    "mode": "add",
    "weights": "IMAGENET1K_V1",
    "sigma": 4.0,
    "seed": 0,
}
COSTS = {"train_seconds": 12.5, "images_per_second": 40.0, "peak_memory_bytes": 3 * 2**28}
PARTS = {"category": "dataset.category", "sigma": "model.sigma", "weights": "model.weights"}


def make_job(
    sweep_dir: Path,
    name: str,
    metrics: Mapping[str, float | None] | None = None,
    *,
    record: dict[str, Any] | None = None,
    **changed: Any,
) -> Path:
    """A finished job with these metrics (without `test/`), or without any a failed one.

    Args:
        changed: Parameters that the command line set for this job.
    """
    folder = sweep_dir / name
    (folder / ".hydra").mkdir(parents=True)
    lines = [f"- {PARTS.get(key, key)}={value}\n" for key, value in changed.items()]
    (folder / ".hydra" / "overrides.yaml").write_text("".join(lines) or "[]\n")
    contents: dict[str, Any] = {"status": "failed", "params": PARAMS | changed}
    if metrics is not None:
        contents |= {"status": "finished", **COSTS}
        named = {f"test/{key}": value for key, value in metrics.items()}
        (folder / "metrics.json").write_text(json.dumps(named))
    (folder / "run.json").write_text(json.dumps(contents | (record or {})))
    return folder

"""Run folders as a training leaves them, made by hand for the tests of tracking and upload."""

import csv
import json
from pathlib import Path
from typing import Any

from PIL import Image

HISTORY = [{"epoch": epoch, "train/loss": 1.0 / epoch} for epoch in (1, 2, 3)]
METRICS = {"test/image_auroc": 0.975, "test/pixel_auroc": 0.981, "test/aupro": None}
PARAMS = {"backbone": "resnet18", "mode": "add", "lr": 0.005, "layers": "[layer1, layer2, layer3]"}
TAGS = {"rdad.overrides": "backbone=resnet18 mode=add"}


def make_run_folder(folder: Path, **record: Any) -> Path:
    """A finished run of three epochs with two overlays, whose store was never asked for."""
    for part in (".hydra", "overlays/brick", "curves", "anomaly_maps/brick/test/good"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / ".hydra/config.yaml").write_text("seed: 0\n")
    (folder / "train.log").write_text("epoch 1 loss 1.0\n")
    (folder / "report.html").write_text("<title>report</title>\n")
    (folder / "model.pt").write_bytes(b"weights")
    (folder / "anomaly_maps/brick/test/good/000.tiff").write_bytes(b"map")
    for name in ("overlays/brick/stain_000.png", "overlays/brick/good_000.png", "curves/roc.png"):
        Image.new("RGB", (32, 32), "orange").save(folder / name)
    _write_csv(folder / "history.csv", HISTORY)
    told = {"image": "good/000.png", "split": "test", "label": 0, "score": 0.1}
    _write_csv(
        folder / "scores.csv", [told, told | {"image": "stain/000.png", "label": 1, "score": 0.2}]
    )
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    contents = {
        "status": "finished",
        "experiment": "textures-brick",
        "run_name": "resnet18-add",
        "params": PARAMS,
        "tags": TAGS,
        "tracking": {"uri": None, "run_id": None, "error": None},
    }
    (folder / "run.json").write_text(json.dumps(contents | record))
    return folder


def read_record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

"""Verdict and regions of images from an ONNX export, without torch and without rdad.

python examples/onnx_regions.py outputs/demo/exports/onnx-fp32 photo.png …

Needs numpy, onnxruntime, pillow and scipy. `model.json` beside the network says how images are to
be given and what the pixel threshold is.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from scipy import ndimage


def inspect(session: onnxruntime.InferenceSession, image: Path, threshold: float) -> dict[str, Any]:
    """What the network says of an image, and the regions above the pixel threshold."""
    picture = ImageOps.exif_transpose(Image.open(image)).convert("RGB")
    names = [output.name for output in session.get_outputs()]
    found = map(np.asarray, session.run(names, {"images": np.asarray(picture)[None]}))
    answers = dict(zip(names, found, strict=True))
    anomaly_map = answers["anomaly_map"][0]
    labels = np.zeros(anomaly_map.shape, np.int32)
    ndimage.label(anomaly_map > threshold, np.ones((3, 3)), output=labels)
    regions = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[rows, columns] == number
        box = [columns.start, rows.start, inside.shape[1], inside.shape[0]]
        score = float(anomaly_map[rows, columns][inside].max())
        regions.append({"box": box, "area": int(inside.sum()), "score": score})
    regions.sort(key=lambda region: -region["area"])
    label = ("good", "defective")[int(answers["label"][0])]
    told = {"image": str(image), "score": float(answers["score"][0]), "label": label}
    return told | {"regions": regions}


def main(folder: Path, *images: Path) -> None:
    """Print a line of JSON for each image."""
    threshold = json.loads((folder / "model.json").read_text())["thresholds"]["pixel"]["value"]
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for image in images:
        print(json.dumps(inspect(session, image, threshold)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

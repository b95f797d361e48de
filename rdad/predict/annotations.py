"""Regions as the files of tools that draw and correct them: COCO and LabelMe."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rdad.detector.regions import Region

DEFECT = "defect"
LEAST_POINTS = 3  # that LabelMe takes for a polygon
LABELME_VERSION = "5.5.0"


class CocoFile:
    """Images and their regions in COCO's format for object detection, written at the end.

    Polygons are `Region.polygon`; beside COCO's keys an annotation has the `score` of COCO's
    results.

    Args:
        description: What `info` says.
    """

    def __init__(self, file: TextIO, description: str) -> None:
        self._file, self._images = file, list[dict[str, Any]]()
        self._annotations, self._description = list[dict[str, Any]](), description

    def add(self, values: dict[str, Any]) -> None:
        """Take a row of `rdad.predict.rows`; images that could not be used are left out."""
        if "regions" not in values:
            return
        number = len(self._images) + 1
        size = {"width": values["width"], "height": values["height"]}
        self._images.append({"id": number, "file_name": values["image"], **size})
        self._annotations += [
            {
                "id": len(self._annotations) + place,
                "image_id": number,
                "category_id": 1,
                "segmentation": [[one for point in region.polygon for one in point]],
                "area": region.area,
                "bbox": list(region.box),
                "iscrowd": 0,
                "score": region.score,
            }
            for place, region in enumerate(values["regions"], 1)
        ]

    def close(self) -> None:
        """Write what was added."""
        content = {
            "info": {"description": self._description},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": 1, "name": DEFECT, "supercategory": ""}],
        }
        print(json.dumps(content), file=self._file, flush=True)


def labelme(
    path: Path, image: Path, size: tuple[int, int], regions: Sequence[Region]
) -> dict[str, Any]:
    """What a LabelMe file at `path` says of an image of `size` (height, width).

    Polygons are `Region.outline`, which LabelMe fills with their border.
    """
    place = os.path.relpath(image, path.parent)
    shapes = [
        {
            "label": DEFECT,
            "points": outline + outline[-1:] * (LEAST_POINTS - len(outline)),
            "group_id": None,
            "description": f"score {region.score:.4g}, {region.area} pixels",
            "shape_type": "polygon",
            "flags": {},
        }
        for region in regions
        if (outline := region.outline)
    ]
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": place,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }

"""Regions of a map: what they say, and that their outlines give the mask back."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from rdad.detector.regions import Region, find_regions, large, region_mask
from rdad.predict.annotations import CocoFile, labelme

SIZE = (30, 40)


def drawn(*lines: str) -> NDArray[np.bool_]:
    return np.array([[sign == "#" for sign in line] for line in lines])


def as_coco_fills(polygon: list[float]) -> NDArray[np.bool_]:
    """The pixels whose centres a polygon [x, y, x, y, …] holds, by the even-odd rule."""
    xs, ys = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    points = np.reshape(polygon, (-1, 2))
    inside = np.zeros(SIZE, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 <= ys) != (y1 <= ys)
            inside ^= crosses & (xs < x0 + (ys - y0) * (x1 - x0) / (y1 - y0))
    return inside


def as_labelme_fills(points: list[list[int]]) -> NDArray[np.bool_]:
    """As its program makes a mask of a polygon."""
    assert len(points) > 2
    picture = Image.new("1", (SIZE[1], SIZE[0]))
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in points], outline=1, fill=1)
    return np.asarray(picture)


def maps() -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Fine and coarse noise, with holes, bridges of one pixel, and regions in holes of others."""
    random, found = np.random.default_rng(0), []
    for sigma in (0.1, 0.7, 1.5):
        for share in (0.35, 0.6, 0.85):
            noise = ndimage.gaussian_filter(random.random(SIZE), sigma)
            found.append((noise, noise > np.quantile(noise, share)))
    return found


def test_a_region_by_hand() -> None:
    above = drawn("##......", "#.#.....", "......##", ".......#")
    values = np.where(above, np.arange(32.0).reshape(4, 8), 50.0)
    first, second = find_regions(values, above)
    assert (first.box, first.area, first.share) == ((0, 0, 3, 2), 4, 4 / 32)
    assert (first.score, first.peak) == (10.0, (2, 1))
    assert (second.box, second.area, second.peak) == ((6, 2, 2, 2), 3, (7, 3))
    assert second.outline == [[6, 2], [7, 2], [7, 3]] or len(second.outline) == 3
    assert large([first, second], 4) == [first]


def test_a_single_pixel_and_a_line_have_outlines() -> None:
    above = drawn("#....", ".....", "..###")
    line, pixel = find_regions(above.astype(float), above)
    assert (pixel.outline, sorted(line.outline)) == ([[0, 0]], [[2, 2], [4, 2]])
    assert find_regions(above * 0.0, above & False) == []


def test_regions_are_those_of_a_flood_from_pixel_to_pixel() -> None:
    for values, above in maps():
        left, areas = above.copy(), []
        while left.any():
            waiting, area = [tuple(np.argwhere(left)[0])], 0
            left[waiting[0]] = False
            while waiting:
                y, x = waiting.pop()
                area += 1
                for place in np.argwhere(left[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]):
                    beside = max(y - 1, 0) + int(place[0]), max(x - 1, 0) + int(place[1])
                    left[beside] = False
                    waiting.append(beside)
            areas.append(area)
        found = find_regions(values, above)
        assert [region.area for region in found] == sorted(areas, reverse=True)
        assert ((region_mask(found, SIZE) == 255) == above).all()


@pytest.mark.parametrize("number", range(9))
def test_coco_and_labelme_files_give_the_mask_back(number: int) -> None:
    values, above = maps()[number]
    regions = find_regions(values, above)
    for shape, region in zip(told_in_labelme(regions), regions, strict=True):
        assert (as_labelme_fills(shape["points"]) == (region_mask([region], SIZE) > 0)).all()
    for one, region in zip(told_in_coco(regions), regions, strict=True):
        (polygon,) = one["segmentation"]
        assert len(polygon) >= 6
        filled = as_coco_fills(polygon)
        assert (filled == (region_mask([region], SIZE) > 0)).all()
        assert one["area"] == filled.sum()
        rows, columns = np.nonzero(filled)
        left, top, width, height = one["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())


def told_in_labelme(regions: list[Region]) -> list[dict[str, Any]]:
    told = labelme(Path("out/labelme/a.json"), Path("parts/a.png"), SIZE, regions)
    assert {"version", "flags", "shapes", "imagePath", "imageData"} <= told.keys()
    assert (told["imageHeight"], told["imageWidth"]) == SIZE
    assert told["imagePath"] == "../../parts/a.png"
    shapes: list[dict[str, Any]] = json.loads(json.dumps(told))["shapes"]
    assert all(shape["shape_type"] == "polygon" and shape["label"] for shape in shapes)
    return shapes


def told_in_coco(regions: list[Region]) -> list[dict[str, Any]]:
    text = io.StringIO()
    coco = CocoFile(text, "by hand")
    coco.add({"image": "broken.png", "error": "damaged"})
    coco.add({"image": "a.png", "height": SIZE[0], "width": SIZE[1], "regions": regions})
    coco.close()
    told = json.loads(text.getvalue())
    (image,), (category,) = told["images"], told["categories"]
    assert image["file_name"] == "a.png"
    for one in told["annotations"]:
        assert (one["image_id"], one["category_id"]) == (image["id"], category["id"])
        assert one["iscrowd"] == 0
    assert len({one["id"] for one in told["annotations"]}) == len(regions)
    return told["annotations"]

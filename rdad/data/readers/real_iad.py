"""Real-IAD: split and labels by its JSON files; an item is seen from five sides."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.readers.trees import sample, trained_on_good
from rdad.data.samples import GOOD, Sample, Samples, subfolders
from rdad.runs.files import resolved

LISTS, SIZES = "realiad_jsons", "realiad_"
LAYOUT = "realiad_1024/<category>/ beside realiad_jsons/<category>.json"


def real_iad(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """A category of Real-IAD, in any of its sizes, tested by image and by item."""
    return public("real_iad", read_real_iad, root, category, loading)


def read_real_iad(root: Path, category: str) -> Samples:
    """`root` is the folder of one size, as `realiad_1024`, or holds one such folder.

    Of a defective item the views that show no defect are good images.

    Raises:
        ValueError: several sizes are there, or no such category; the message lists them.
        FileNotFoundError: there are no lists.
    """
    images = _images_folder(root)
    listed = _list(images, category)
    try:
        content = json.loads(listed.read_text(encoding="utf-8"))
        meta = content.get("meta", {})
        bases = [images / meta.get("prefix", ""), images / category, images]
        normal = meta.get("normal_class", "OK")
        train, test = (_samples(content[split], bases, normal) for split in ("train", "test"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{listed} is no list of Real-IAD: {error!r}") from error
    return trained_on_good(train, test)


def _images_folder(root: Path) -> Path:
    sizes = [
        one
        for one in subfolders(root)
        if one.name.startswith(SIZES) and not one.name.startswith(LISTS)
    ]
    if len(sizes) > 1:
        found = ", ".join(one.name for one in sizes)
        raise ValueError(f"{root} holds several sizes: {found}; name one of them as the root")
    return sizes[0] if sizes else root


def _list(images: Path, category: str) -> Path:
    """The JSON of a category; archives differ in whether the folder lies in one of its name."""
    places = [base / LISTS for base in (resolved(images).parent, images)]
    places = [inner for place in places for inner in (place / LISTS, place) if inner.is_dir()]
    for place in places:
        if (place / f"{category}.json").is_file():
            return place / f"{category}.json"
    found = sorted({path.stem for place in places for path in place.glob("*.json")})
    if found:
        raise ValueError(f"no category {category!r} in {places[0]}; found: {', '.join(found)}")
    raise FileNotFoundError(f"no lists for {images}; expected {LAYOUT}")


def _samples(rows: Iterable[dict[str, Any]], bases: list[Path], normal: str) -> list[Sample]:
    """`bases` are the folders that paths may count from, the likeliest first."""
    samples = []
    for row in rows:
        image = row["image_path"]
        base = next((one for one in bases if (one / image).exists()), bases[0])
        kind = GOOD if row["anomaly_class"] == normal else row["anomaly_class"]
        masks = [base / row["mask_path"]] if row.get("mask_path") and kind != GOOD else []
        samples.append(sample(base / image, kind, masks, part=str(PurePosixPath(image).parent)))
    return samples

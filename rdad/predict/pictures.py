"""Overlays, maps, masks and LabelMe files of predictions, in folders like those of the images."""

import math
import os
from collections.abc import Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from rdad.data.in_order import in_order
from rdad.data.samples import distinct
from rdad.detector.regions import large, region_mask
from rdad.detector.scoring import stretched_map
from rdad.predict.annotations import labelme
from rdad.predict.rows import LABELME, MAP, MASK, OVERLAY
from rdad.predict.stream import Outcome
from rdad.results.overlays import PNG_LEVEL
from rdad.results.pictures import overlay
from rdad.results.writer import write_map
from rdad.runs.files import write_atomic, write_json

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

Written: TypeAlias = tuple[Outcome, dict[str, str]]

FOLDERS = {OVERLAY: "overlays", MAP: "anomaly_maps", MASK: "masks", LABELME: "labelme"}
SUFFIXES = {OVERLAY: ".png", MAP: ".tiff", MASK: ".png", LABELME: ".json"}
THREADS = 4
AHEAD = 8  # so many rows, at most, wait for their files


def with_files(
    outcomes: Iterable[Outcome],
    images: Sequence[Path],
    output: Path,
    *,
    kinds: Sequence[str],
    thresholds: "Thresholds | None",
    smallest: int = 1,
) -> Generator[Written, None, None]:
    """Each outcome in order, once its files are there, with their names by column.

    A file lies where its image lies below the folder that all images have in common, as in
    overlays/left/007.png; images that differ in their endings alone get 007, 007_2, 007_3.

    Args:
        images: All of them.
        output: The folder of the results.
        kinds: Of OVERLAY, MAP, MASK and LABELME; the last two need thresholds.
        thresholds: With them overlays show normalised maps, 0.5 being the pixel threshold, and
            outline what lies above it. None: raw maps, each on a scale of its own.
        smallest: Area of the smallest region in masks and LabelMe files, in pixels.

    Raises:
        OSError: a file cannot be written; names it.
    """

    def write(named: tuple[Outcome, str]) -> Written:
        outcome, name = named
        if outcome.prediction is None:
            return outcome, {}
        files = {kind: f"{FOLDERS[kind]}/{name}{SUFFIXES[kind]}" for kind in kinds}
        for kind, file in files.items():
            path = output / file
            try:
                if kind == MAP:
                    write_map(path, outcome.prediction.network_map, size=outcome.prediction.size)
                elif kind == OVERLAY:
                    _write_overlay(path, outcome, thresholds, title=name)
                else:
                    _write_regions(path, outcome, smallest)
            except OSError as error:
                raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error
        return outcome, files

    named = zip(outcomes, _distinct_names(images), strict=True)
    return in_order(write, named, threads=THREADS, ahead=AHEAD, pixels=_pixels)


def _pixels(named: tuple[Outcome, str]) -> int:
    prediction = named[0].prediction
    return math.prod(prediction.size) if prediction else 0


def _distinct_names(images: Sequence[Path]) -> list[str]:
    """Paths below the common folder without endings, different also where case is ignored."""
    whole = [os.path.abspath(image) for image in images]  # noqa: PTH100  Path keeps ".."
    root = os.path.commonpath({os.path.dirname(path) for path in whole})  # noqa: PTH120
    stems = (Path(path).relative_to(root).with_suffix("").as_posix() for path in whole)
    taken: set[str] = set()
    return [distinct(stem, taken) for stem in stems]


def _write_regions(path: Path, outcome: Outcome, smallest: int) -> None:
    """A mask, 255 inside regions, or a LabelMe file, by the path's ending."""
    prediction = outcome.prediction
    assert prediction is not None and prediction.regions is not None
    regions, size = large(prediction.regions, smallest), prediction.size
    if path.suffix == SUFFIXES[LABELME]:
        write_json(path, labelme(path, outcome.path, size, regions))
    else:
        picture = Image.fromarray(region_mask(regions, size))
        write_atomic(path, partial(picture.save, compress_level=PNG_LEVEL))


def _write_overlay(
    path: Path, outcome: Outcome, thresholds: "Thresholds | None", *, title: str
) -> None:
    prediction, picture = outcome.prediction, outcome.picture
    assert prediction is not None and picture is not None
    shown, threshold = prediction.network_map, None
    if prediction.valid is not None:
        shown = np.where(prediction.valid, shown, np.float32(np.nan))
    limits = (float(np.nanmin(shown)), float(np.nanmax(shown)))
    if thresholds is not None:
        stretched = stretched_map(shown, picture.shape[:2])
        shown, limits, threshold = thresholds.pixel.normalise(stretched), (0.0, 1.0), 0.5
    caption = f"score {prediction.score:.4g}  {prediction.label or ''}".rstrip()
    texts = {"title": title, "caption": caption}
    drawn = overlay(picture, shown, None, *limits, threshold=threshold, **texts)
    write_atomic(path, partial(drawn.save, compress_level=PNG_LEVEL))

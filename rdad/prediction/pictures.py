"""Overlays and raw maps of predictions, in folders like those of the images."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rdad.artifacts import write_map
from rdad.overlays import PNG_LEVEL
from rdad.prediction.in_order import in_order
from rdad.prediction.rows import MAP, OVERLAY
from rdad.run_files import write_atomic

if TYPE_CHECKING:
    from rdad.prediction.stream import Outcome
    from rdad.thresholds import Thresholds

Written: TypeAlias = "tuple[Outcome, dict[str, str]]"

FOLDERS = {OVERLAY: "overlays", MAP: "anomaly_maps"}
SUFFIXES = {OVERLAY: ".png", MAP: ".tiff"}
THREADS = 4
AHEAD = 8  # so many rows, at most, wait for their files


class Pictures:
    """Writes what is asked for of each image.

    A file lies where its image lies below the folder that all images have in common, as in
    overlays/left/007.png; images that differ in their endings alone get 007, 007_2, 007_3.

    Args:
        output: The folder of the results.
        images: All of them.
        kinds: OVERLAY, MAP or both.
        thresholds: They place the overlays' colour scale, from 0 to twice the image threshold,
            and outline what lies above the pixel threshold. None: each overlay has a scale of
            its own.
    """

    def __init__(
        self,
        output: Path,
        images: Sequence[Path],
        *,
        kinds: Sequence[str],
        thresholds: "Thresholds | None",
    ) -> None:
        self._output, self._kinds, self._thresholds = output, tuple(kinds), thresholds
        self._names = _distinct_names(images)

    def written(self, outcomes: "Iterable[Outcome]") -> Iterator[Written]:
        """Each outcome in order, once its files are there, with their names by column.

        Raises:
            OSError: a file cannot be written; names it.
        """
        named = zip(outcomes, self._names, strict=True)
        return in_order(self._write, named, threads=THREADS, ahead=AHEAD)

    def _write(self, named: "tuple[Outcome, str]") -> Written:
        outcome, name = named
        if outcome.prediction is None:
            return outcome, {}
        files = {kind: f"{FOLDERS[kind]}/{name}{SUFFIXES[kind]}" for kind in self._kinds}
        for kind, file in files.items():
            path = self._output / file
            try:
                _WRITERS[kind](path, outcome, self._thresholds)
            except OSError as error:
                raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from error
        return outcome, files


def _distinct_names(images: Sequence[Path]) -> list[str]:
    """Paths below the common folder without endings, different also where case is ignored."""
    whole = [os.path.abspath(image) for image in images]  # noqa: PTH100  Path keeps ".."
    root = os.path.commonpath({os.path.dirname(path) for path in whole})  # noqa: PTH120
    names, taken = [], set()
    for path in whole:
        stem = name = Path(path).relative_to(root).with_suffix("").as_posix()
        count = 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _write_overlay(path: Path, outcome: "Outcome", thresholds: "Thresholds | None") -> None:
    from rdad.stretching import stretched_map
    from rdad.visualize import overlay

    prediction, picture = outcome.prediction, outcome.picture
    assert prediction is not None and picture is not None
    network_map = prediction.network_map
    limits, outlined = (float(network_map.min()), float(network_map.max())), None
    if thresholds is not None:
        limits = (0.0, 2 * thresholds.image.value)
        outlined = stretched_map(network_map, picture.shape[:2]) > thresholds.pixel.value
    caption = f"score {prediction.score:.4g}  {prediction.label or ''}".rstrip()
    drawn = overlay(
        picture, network_map, outlined, *limits, title=str(outcome.path), caption=caption
    )
    write_atomic(path, partial(drawn.save, compress_level=PNG_LEVEL))


def _write_map(path: Path, outcome: "Outcome", _: "Thresholds | None") -> None:
    assert outcome.prediction is not None
    write_map(path, outcome.prediction.network_map, size=outcome.prediction.size)


_WRITERS: dict[str, "Callable[[Path, Outcome, Thresholds | None], None]"] = {
    OVERLAY: _write_overlay,
    MAP: _write_map,
}

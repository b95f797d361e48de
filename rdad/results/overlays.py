"""The overlays of a run: which images they show, what their files are called, one drawn."""

from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdad.data.samples import distinct
from rdad.results.gathered import Gathered
from rdad.runs.files import write_atomic

if TYPE_CHECKING:
    from rdad.data.samples import Sample

SHARE_BY_LOT = 8  # of so many overlays one is the same in each run, whatever its score
PNG_LEVEL = 3  # a third of the default level's time, a tenth more bytes


def most_telling(
    samples: "Sequence[Sample]", scores: Sequence[float], *, limit: int | None
) -> list[int]:
    """Numbers of the images to look at first, ascending; at most `limit` of them.

    Turns go round the defect types of each category, the normal images' first. In its turns a type
    gives its worst image, its best, its second worst and so on: of normal images the highest score
    is the worst, of a defect the lowest. Of equal scores the earlier image comes first. An eighth
    of them is chosen `by_lot` before that, and so the same in each run of a data set.
    """
    if limit is None:
        return list(range(len(samples)))
    by_type: dict[tuple[int, str, str], list[int]] = {}
    for number, sample in enumerate(samples):
        kind = (sample.label, sample.category, sample.defect_type)
        by_type.setdefault(kind, []).append(number)
    turns = []
    for (label, _, _), numbers in sorted(by_type.items()):
        sign = 1 if label else -1
        turns.append(_from_both_ends(sorted(numbers, key=lambda n, s=sign: s * scores[n])))
    in_turn = [number for turn in zip_longest(*turns) for number in turn if number is not None]
    named = {name: number for number, name in enumerate(overlay_names(samples))}
    drawn = [named[name] for name in by_lot(named)[: limit // SHARE_BY_LOT]]
    return sorted([*dict.fromkeys(drawn + in_turn)][:limit])


def by_lot(names: Iterable[str]) -> list[str]:
    """The same mixed order wherever the names are these, and of some of them where others lack."""
    return sorted(names, key=lambda name: blake2b(name.encode(errors="replace")).digest())


def _from_both_ends(numbers: list[int]) -> list[int]:
    middle = (len(numbers) + 1) // 2
    pairs = zip_longest(numbers[:middle], reversed(numbers[middle:]))
    return [number for pair in pairs for number in pair if number is not None]


def overlay_names(samples: "Sequence[Sample]") -> list[str]:
    """File names, different also where letter case is ignored, and not too long."""
    names: list[str] = []
    taken: set[str] = set()
    for sample in samples:
        words = filter(None, (sample.category, sample.defect_type, sample.name))
        stem = "_".join(words).replace("/", "_")
        names.append(f"{distinct(stem, taken)}.png")
    return names


def draw_overlay(path: Path, gathered: Gathered, number: int, *, category: str) -> None:
    """Draw `rdad.results.pictures.overlay` of an image's files and its map into a PNG.

    All overlays of a test have one colour scale.

    Raises:
        DataError: the image or the mask is not there any more.
        OSError: the file cannot be written.
    """
    from rdad.data.decoding import decode_union
    from rdad.data.images import load_image
    from rdad.results.pictures import overlay

    sample, anomaly_map = gathered.samples[number], gathered.maps[number]
    image = np.asarray(load_image(sample.image, bits=sample.bits))
    marked = decode_union(sample)
    mask = None if marked is None else np.asarray(marked[0]) > 127
    by = gathered.thresholds
    texts = {
        "title": f"{sample.category or category}  {sample.defect_type}/{sample.name}",
        "caption": f"score {gathered.scores[number]:.4g}",
    }
    threshold = None if by is None else by.of(sample.category).pixel.value
    picture = overlay(image, anomaly_map, mask, *gathered.limits, threshold=threshold, **texts)
    write_atomic(path, partial(picture.save, compress_level=PNG_LEVEL))

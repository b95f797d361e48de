"""Predictions as text: a table for people, CSV or JSON lines for programs; and their count."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from rdad.data.images import listed
from rdad.detector.regions import Region, large
from rdad.results.text_table import figure

if TYPE_CHECKING:
    from rdad.predict.stream import Outcome

Row: TypeAlias = dict[str, Any]
Writer: TypeAlias = Callable[[Row], None]

TABLE = "table"
COCO = "coco"
FILE_FORMATS = {"csv": "csv", "jsonl": "jsonl", COCO: "json"}
"""What the results' file is, and how its name ends."""

REGIONS, LARGEST = "regions", "largest_region"  # in CSV their number, and the largest's pixels
FIRST_COLUMNS = ("image", "score", "normalised_score", "label", REGIONS, LARGEST)
OVERLAY, MAP, MASK, LABELME = "overlay", "anomaly_map", "mask", "labelme"  # files of the results
ERROR = "error"  # a reason


def row(outcome: "Outcome", files: Mapping[str, str], *, smallest: int | None = None) -> Row:
    """What is said of an image, by column; of one that could not be used the `error` alone.

    Args:
        files: What was written of it, by column: OVERLAY, MAP, MASK, LABELME.
        smallest: Area of the smallest region that is told, in pixels; with it also the image's
            size is. None tells no regions, which take their time.
    """
    values: Row = {"image": str(outcome.path)}
    prediction = outcome.prediction
    if prediction is None:
        return values | {ERROR: outcome.problem}
    values |= {
        "score": prediction.score,
        "normalised_score": prediction.normalised_score,
        "label": prediction.label,
    }
    if smallest is not None:
        found = prediction.regions
        values[REGIONS] = None if found is None else large(found, smallest)
        values["height"], values["width"] = prediction.size
    return {**values, **files}


def row_writer(file: TextIO, form: str, columns: Sequence[str]) -> Writer:
    """Write the header, if the form has one, now, and a row at each call; each is there at once.

    Args:
        form: TABLE, csv or jsonl.
        columns: What CSV has; a table has columns of its own.
    """
    if form == "jsonl":
        dumped = partial(json.dumps, default=Region.to_dict)
        return lambda values: print(dumped(values), file=file, flush=True)
    if form == TABLE:
        print(_aligned("score", "normalised", "label", "image"), file=file, flush=True)
        return lambda values: print(_table_line(values), file=file, flush=True)
    table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    file.flush()

    def write(values: Row) -> None:
        regions = values.get(REGIONS)
        if regions is not None:
            largest = regions[0].area if regions else 0
            values = values | {REGIONS: len(regions), LARGEST: largest}
        table.writerow(values)
        file.flush()

    return write


def _table_line(values: Row) -> str:
    if ERROR in values:
        return _aligned("-", "-", "failed", f"{values['image']}: {values[ERROR]}")
    score, normalised = figure(values["score"], ".4g"), figure(values["normalised_score"], ".4f")
    return _aligned(score, normalised, values["label"] or "-", values["image"])


def _aligned(*cells: str) -> str:
    """The image stands last: so no other column's width depends on what is yet to come."""
    return "{:>10}  {:>10}  {:<9}  {}".format(*cells)


class Tally:
    """Counts outcomes, and keeps the problems to show the first of them together.

    Args:
        images: How many outcomes there will be.
    """

    def __init__(self, images: int) -> None:
        self._images = images
        self._labels: Counter[str] = Counter()
        self._problems: list[str] = []

    def count(self, outcome: "Outcome") -> None:
        if outcome.prediction is None:
            self._problems.append(f"{outcome.path}: {outcome.problem}")
        else:
            self._labels[outcome.prediction.label or "scored"] += 1

    @property
    def scored(self) -> int:
        return self._labels.total()

    @property
    def failed(self) -> int:
        return len(self._problems)

    def __str__(self) -> str:
        """One line of counts, and one for each of the first images that failed."""
        done = self.scored + self.failed
        total = "1 image" if self._images == 1 else f"{self._images} images"
        images = total if done == self._images else f"{done} of {total}"
        counts = [f"{count} {label}" for label, count in sorted(self._labels.items())]
        if self.failed:
            counts.append(f"{self.failed} failed")
        counted = f"{images}: {', '.join(counts) or 'none scored'}"
        return "\n".join([counted, *listed(self._problems)])

"""Predictions as text: a table for people, CSV or JSON lines for programs; line by line."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from rdad.predict.stream import Outcome

Value: TypeAlias = str | float | None
Row: TypeAlias = dict[str, Value]
Writer: TypeAlias = Callable[[Row], None]

TABLE = "table"
FILE_FORMATS = ("csv", "jsonl")
FIRST_COLUMNS = ("image", "score", "normalised_score", "label")
OVERLAY, MAP, ERROR = "overlay", "anomaly_map", "error"  # files below the results' folder; a reason


def row(outcome: "Outcome", files: Mapping[str, str]) -> Row:
    """What is said of an image, by column; of one that could not be used the `error` alone.

    Args:
        files: What was written of it, by column: OVERLAY, MAP.
    """
    values: Row = {"image": str(outcome.path)}
    prediction = outcome.prediction
    if prediction is None:
        return values | {ERROR: outcome.problem}
    return values | {
        "score": prediction.score,
        "normalised_score": prediction.normalised_score,
        "label": prediction.label,
        **files,
    }


@dataclass(frozen=True)
class _Form:
    header: Callable[[Sequence[str]], str | None]
    line: Callable[[Row, Sequence[str]], str]


def row_writer(file: TextIO, form: str, columns: Sequence[str]) -> Writer:
    """Write the header, if the form has one, now, and a row at each call; each is there at once.

    Args:
        form: TABLE or one of FILE_FORMATS.
        columns: What CSV and JSON lines have; a table has columns of its own.
    """
    chosen = _FORMS[form]
    header = chosen.header(columns)
    if header is not None:
        print(header, file=file, flush=True)
    return lambda values: print(chosen.line(values, columns), file=file, flush=True)


def _csv_line(values: Sequence[Value]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _json_line(values: Row, columns: Sequence[str]) -> str:
    return json.dumps({name: values[name] for name in columns if name in values})


def _table_line(values: Row, _: Sequence[str]) -> str:
    if ERROR in values:
        return _aligned("-", "-", "failed", f"{values['image']}: {values[ERROR]}")
    score = _figure(values["score"], ".4g")
    normalised = _figure(values["normalised_score"], ".4f")
    return _aligned(score, normalised, str(values["label"] or "-"), str(values["image"]))


def _figure(value: Value, form: str) -> str:
    return "-" if value is None else format(value, form)


def _aligned(score: str, normalised: str, label: str, image: str) -> str:
    """The image stands last: so no other column's width depends on what is yet to come."""
    return f"{score:>10}  {normalised:>10}  {label:<9}  {image}"


_FORMS = {
    TABLE: _Form(lambda _: _aligned("score", "normalised", "label", "image"), _table_line),
    "csv": _Form(_csv_line, lambda values, columns: _csv_line([values.get(c) for c in columns])),
    "jsonl": _Form(lambda _: None, _json_line),
}

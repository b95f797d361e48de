"""Rows as CSV, JSON lines and a table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdad.detector.calibration import chosen_thresholds
from rdad.detector.trained_model import Prediction
from rdad.predict.rows import ERROR, FIRST_COLUMNS, OVERLAY, row, row_writer
from rdad.predict.stream import Outcome

COLUMNS = (*FIRST_COLUMNS, OVERLAY, ERROR)
MAP = np.zeros((2, 2), np.float32)
ABOVE = np.array([[0, 3, 2], [0, 0, 0], [4, 0, 0]], np.float32)
AT_ONE = chosen_thresholds(None, value=1.0)
REGIONAL = Outcome(Path("e.png"), Prediction(4, 0.9, True, ABOVE, (3, 3), thresholds=AT_ONE))
SCORED = Outcome(Path("a, b.png"), Prediction(0.1, 0.25, False, MAP, (2, 2)))
UNJUDGED = Outcome(Path("c.png"), Prediction(1e-5, None, None, MAP, (2, 2)))
FAILED = Outcome(Path("d.png"), problem='not "an image"')


def written(form: str) -> str:
    text = io.StringIO()
    write = row_writer(text, form, COLUMNS)
    for outcome, files in ((SCORED, {OVERLAY: "overlays/a, b.png"}), (UNJUDGED, {}), (FAILED, {})):
        write(row(outcome, files))
    return text.getvalue()


def test_csv_has_every_column_in_every_row_and_full_precision():
    rows = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [tuple(one) for one in rows] == [COLUMNS] * 3
    assert [one["image"] for one in rows] == ["a, b.png", "c.png", "d.png"]
    assert (rows[0]["score"], rows[0]["overlay"]) == ("0.1", "overlays/a, b.png")
    assert (rows[1]["normalised_score"], rows[1]["label"], rows[1]["error"]) == ("", "", "")
    assert (rows[2]["score"], rows[2]["error"]) == ("", 'not "an image"')


def test_json_lines_have_what_is_known():
    lines: list[dict[str, Any]] = [json.loads(line) for line in written("jsonl").splitlines()]
    assert lines == [
        {
            "image": "a, b.png",
            "score": 0.1,
            "normalised_score": 0.25,
            "label": "good",
            "overlay": "overlays/a, b.png",
        },
        {"image": "c.png", "score": 1e-5, "normalised_score": None, "label": None},
        {"image": "d.png", "error": 'not "an image"'},
    ]


def test_a_table_has_a_line_for_each_image_and_says_what_failed():
    assert written("table").splitlines() == [
        "     score  normalised  label      image",
        "       0.1      0.2500  good       a, b.png",
        "     1e-05           -  -          c.png",
        '         -           -  failed     d.png: not "an image"',
    ]


def test_regions_are_whole_in_json_and_in_csv_their_number_and_the_largest():
    line = row(REGIONAL, {}, smallest=1)
    text = io.StringIO()
    row_writer(text, "csv", COLUMNS)(line)
    (found,) = csv.DictReader(io.StringIO(text.getvalue()))
    assert (found["regions"], found["largest_region"]) == ("2", "2")
    text = io.StringIO()
    row_writer(text, "jsonl", COLUMNS)(line)
    first, second = json.loads(text.getvalue())["regions"]
    assert (first["box"], first["area"], first["score"]) == ([1, 0, 2, 1], 2, 3.0)
    assert (first["peak"], first["outline"]) == ([1, 0], [[1, 0], [2, 0]])
    assert (second["peak"], second["share"]) == ([0, 2], 1 / 9)
    assert row(REGIONAL, {}, smallest=2)["regions"] == line["regions"][:1]
    assert row(UNJUDGED, {}, smallest=1)["regions"] is None


@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path, form: str):
    path = tmp_path / "results"
    with path.open("w") as file:
        row_writer(file, form, COLUMNS)(row(SCORED, {}))
        assert "a, b.png" in path.read_text()

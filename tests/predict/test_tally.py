"""What a command says at its end."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rdad.detector.trained_model import Prediction
from rdad.predict.rows import Tally
from rdad.predict.stream import Outcome

FAILED = Outcome(Path("x.png"), problem="missing")


def scored(is_defective: bool | None) -> Outcome:
    anomaly_map = np.zeros((2, 2), np.float32)
    return Outcome(Path("a.png"), Prediction(1.0, None, is_defective, anomaly_map, (2, 2)))


@pytest.mark.parametrize(
    ("images", "outcomes", "text"),
    [
        (3, [scored(True), scored(False), scored(True)], "3 images: 2 defective, 1 good"),
        (1, [scored(None)], "1 image: 1 scored"),
        (2, [scored(False), FAILED], "2 images: 1 good, 1 failed\n  x.png: missing"),
        (9, [scored(False)], "1 of 9 images: 1 good"),
        (9, [], "0 of 9 images: none scored"),
    ],
)
def test_outcomes_are_counted(images: int, outcomes: Sequence[Outcome], text: str):
    tally = Tally(images)
    for outcome in outcomes:
        tally.count(outcome)
    assert str(tally) == text


def test_many_failures_are_named_in_part_and_counted():
    tally = Tally(30)
    for _ in range(25):
        tally.count(FAILED)
    lines = str(tally).splitlines()
    assert (len(lines), lines[0], lines[-1]) == (
        22,
        "25 of 30 images: 25 failed",
        "  ... and 5 more",
    )

"""Hostile input of each subject holds: a right result or one clear message, in bounds.

A case that does not hold is named by its seed; `RDAD_FUZZ=images:17` tries it alone.
"""

import time
from pathlib import Path

import pytest

from fuzz import kills
from fuzz.trials import outcomes, seeds, tell

SUBJECTS = {  # cases in make test, in make fuzz, and seconds that one may take
    "images": (80, 2000, 60),
    "configurations": (8, 300, 240),
    "folders": (10, 200, 120),
    "answers": (4, 200, 120),
}
LONGEST = pytest.mark.timeout(7200)


@pytest.mark.parametrize("subject", SUBJECTS)
@LONGEST
def test_hostile_input_gives_what_is_right_or_one_message(subject: str, tmp_path: Path) -> None:
    short, long, patience = SUBJECTS[subject]
    cases, started = seeds(subject, short=short, long=long), time.monotonic()
    tell(subject, outcomes(subject, cases, tmp_path, patience), time.monotonic() - started)


@LONGEST
def test_stopped_trainings_end_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    cases, started = seeds("kills", short=1, long=60), time.monotonic()
    undisturbed = kills.Undisturbed(tmp_path)
    found = [undisturbed.outcome(seed, tmp_path) for seed in cases]
    tell("kills", found, time.monotonic() - started)

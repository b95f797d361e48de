"""run.json may be anybody's: what is not as a run writes it is said by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from rdad.runs.record import read_record


@pytest.mark.parametrize(
    ("fact", "found"),
    [
        *(("params", []), ("params", {"layers": ["layer1"]}), ("tags", "x"), ("run_name", 5)),
        *(("tracking", "x"), ("tracking", {"uri": 5}), ("train_seconds", "12"), ("trained", "yes")),
        *(("thresholds", [1]), ("reason", None), ("started", 5), ("checkpoint", 1)),
    ],
)
def test_a_fact_of_another_kind_is_named(fact: str, found: Any, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"status": "finished", fact: found}))
    with pytest.raises(ValueError, match=rf"run\.json is not what a run writes: {fact} is "):
        read_record(tmp_path)


def test_facts_that_are_needed_and_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "finished", "params": {}}')
    with pytest.raises(ValueError, match=r"run\.json lacks run_name, tags, which a run writes"):
        read_record(tmp_path, "tags", "params", "run_name")


def test_tracking_has_all_its_parts(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "finished", "tracking": {"uri": "x"}}')
    assert read_record(tmp_path)["tracking"] == {"uri": "x", "run_id": None, "error": None}

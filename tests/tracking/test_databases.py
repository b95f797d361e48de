"""Addresses of databases become such that SQLAlchemy reads, or say what is missing."""

import importlib.util

import pytest

from rdad.tracking import MlflowTracker
from rdad.tracking.databases import with_driver


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "http://host", "postgresql+pg8000://h/d"])
def test_an_address_that_says_enough_stays(uri: str) -> None:
    assert with_driver(uri) == uri


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_postgresql_gets_a_driver_that_is_installed_and_is_shown_as_it_was_typed(
    scheme: str,
) -> None:
    pytest.importorskip("psycopg", reason="needs the extra `postgresql`")
    tracker = MlflowTracker(f"{scheme}://ann:secret@host/runs")
    assert tracker.uri == "postgresql+psycopg://ann:secret@host/runs"
    assert tracker.shown_uri == f"{scheme}://host/runs"


def test_without_a_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"postgresql:// needs psycopg, .* 'rdad\[postgresql\]'"):
        MlflowTracker("postgresql://ann:secret@host/runs")

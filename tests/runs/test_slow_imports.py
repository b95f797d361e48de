"""Imports without a search for rubbish, which goes on behind them."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdad.runs.slow_imports import slow_imports


@pytest.fixture(autouse=True)
def nothing_kept_back() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.freeze()  # as the other tests have it


def test_what_was_imported_is_not_looked_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "takes_long.py").write_text("import gc\nsearched = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with slow_imports():
        import takes_long  # type: ignore[import-not-found]
    assert not takes_long.searched and gc.isenabled()
    assert gc.get_freeze_count() > 0
    del sys.modules["takes_long"]


def test_where_nothing_was_imported_nothing_is_kept_back() -> None:
    with pytest.raises(ImportError), slow_imports():
        raise ImportError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0

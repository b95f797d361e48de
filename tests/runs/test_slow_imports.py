"""Imports without a search for rubbish, which goes on behind them."""

import gc
import sys
from pathlib import Path

import pytest

from rdad.runs.slow_imports import slow_imports


def test_what_was_imported_is_not_looked_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "takes_long.py").write_text("import gc\nsearched = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    gc.unfreeze()
    with slow_imports():
        import takes_long  # type: ignore[import-not-found]
    assert not takes_long.searched and gc.isenabled()
    assert gc.get_freeze_count() > 0
    del sys.modules["takes_long"]


def test_where_nothing_was_imported_nothing_is_kept_back() -> None:
    gc.unfreeze()
    with pytest.raises(ImportError), slow_imports():
        raise ImportError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0

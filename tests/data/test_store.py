"""Arrays on disk: what comes back, what damage does, what several processes do."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from rdad.data.store import ABANDONED_AFTER_S, ArrayStore, default_cache_dir, lock

ARRAYS = [
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.zeros((0, 5), np.bool_),
    np.array([[1.5, -2.0]]),
]


@pytest.fixture
def store(tmp_path: Path) -> ArrayStore:
    return ArrayStore(tmp_path / "cache")


def test_arrays_come_back_as_they_were_saved(store: ArrayStore) -> None:
    store.save("key", ARRAYS)
    loaded = store.load("key")
    assert loaded is not None
    for before, after in zip(ARRAYS, loaded, strict=True):
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)


def test_loaded_arrays_are_mapped_from_disk_and_cannot_be_written(store: ArrayStore) -> None:
    store.save("key", ARRAYS)
    first = (store.load("key") or [])[0]
    assert isinstance(first, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_an_absent_entry_is_none(store: ArrayStore) -> None:
    assert store.load("key") is None


@pytest.mark.parametrize("position", [0, 7, 70, 130, 160, -1, -40])
def test_a_flipped_byte_anywhere_makes_the_entry_unusable(
    store: ArrayStore, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    store.save("key", ARRAYS)
    content = bytearray(store.path("key").read_bytes())
    content[position] ^= 0x10
    store.path("key").write_bytes(content)
    assert store.load("key") is None
    assert "damaged" in caplog.text


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 200])
def test_a_file_that_is_cut_off_is_unusable(store: ArrayStore, length: int) -> None:
    store.save("key", ARRAYS)
    store.path("key").write_bytes(store.path("key").read_bytes()[:length])
    assert store.load("key") is None


def test_the_longest_unused_entries_go_when_the_limit_is_passed(tmp_path: Path) -> None:
    one = [np.zeros(1000, np.uint8)]
    store = ArrayStore(tmp_path, limit_bytes=3700)
    for age, key in enumerate("abc"):
        store.save(key, one)
        os.utime(store.path(key), (1000 + age, 1000 + age))
    assert store.load("a") is not None  # used now, so b is the longest unused
    store.save("d", one)
    assert [key for key in "abcd" if store.load(key)] == ["a", "c", "d"]


def test_an_entry_over_the_limit_serves_this_process_and_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (array,) = ArrayStore(tmp_path, limit_bytes=999).save("key", [np.arange(1000, dtype=np.uint8)])
    assert "over the cache's limit of 999" in caplog.text
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(array, np.arange(1000, dtype=np.uint8))


def test_a_write_that_fails_leaves_nothing(
    store: ArrayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rdad.data.store.npy.write_array", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.save("key", ARRAYS)
    assert list(store.folder.iterdir()) == []


def test_partial_files_of_killed_processes_are_removed_after_a_day(store: ArrayStore) -> None:
    store.save("old", ARRAYS)
    new, old = store.folder / "new.partial", store.folder / "old.partial"
    for path in (new, old):
        path.touch()
    then = old.stat().st_mtime - ABANDONED_AFTER_S - 1
    os.utime(old, (then, then))
    store.save("key", ARRAYS)
    assert new.exists()
    assert not old.exists()


def test_a_lock_holds_a_second_user_back(store: ArrayStore) -> None:
    order: list[str] = []

    def second() -> None:
        with lock(store.path("key")):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock(store.path("key")):
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_made_does_not_stop_the_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with lock(tmp_path / "file" / "cache" / "key"):
        pass


def test_processes_that_write_one_entry_at_once_all_read_it_whole(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from rdad.data.store import ArrayStore\n"
        "store, array = ArrayStore(Path(sys.argv[1])), np.arange(200_000)\n"
        "for _ in range(20):\n"
        "    store.save('key', [array])\n"
        "    assert np.array_equal(store.load('key')[0], array)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["key.arrays"]


def test_the_cache_folder_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDAD_CACHE_DIR", "~/elsewhere")
    assert default_cache_dir() == Path.home() / "elsewhere"
    monkeypatch.delenv("RDAD_CACHE_DIR")
    assert default_cache_dir() == Path.home() / ".cache" / "rdad"


def test_without_a_home_the_cache_goes_with_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RDAD_CACHE_DIR", "")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user without a name
    folder = default_cache_dir()
    assert folder.is_dir() and folder == default_cache_dir()
    assert caplog.text.count("no home folder is known") == 1

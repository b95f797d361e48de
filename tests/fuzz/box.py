"""A folder for one case, outside of which nothing may be written, and no program be started."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECRET = "known-to-nobody"
PLACES = {  # of what is written to, among an event's arguments
    "open": (0,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "subprocess.Popen": (0,),
    "os.system": (0,),
    "os.exec": (0,),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watching: "list[Box]" = []


class Box:
    """`work` is the case's; `home`, `tmp` and `outside` lie beside it and stay as they are.

    The cache, which lies beside all boxes, may be written to.
    """

    def __init__(self, place: Path, name: str) -> None:
        self.folder, self.cache = place / name, place / "cache"
        self.work, self.tmp = self.folder / "work", self.folder / "tmp"
        self.broken: list[str] = []
        for folder in (self.work, self.tmp, self.cache, self.folder / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "outside").mkdir()
        (self.folder / "outside" / "secret.txt").write_text(SECRET)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The current folder is `work`; raises AssertionError where something left the box."""
        _install()
        before, here = self._beside(), Path.cwd()
        known, tempfile.tempdir = tempfile.tempdir, str(self.tmp)
        os.environ |= {"HOME": str(self.folder / "home"), "TMPDIR": str(self.tmp), "SECRET": SECRET}
        os.chdir(self.work)
        _watching.append(self)
        try:
            yield
        finally:
            _watching.remove(self)
            os.chdir(here)
            tempfile.tempdir = known
        assert not self.broken, f"it reached out of its box: {self.broken[:5]}"
        changed = {path for path, _ in self._beside() ^ before}
        assert not changed, f"it changed or left {sorted(changed)}"

    def allows(self, event: str, place: Any) -> bool:
        """Whether a case may do that; numbers are of files that are open already."""
        if event in ("subprocess.Popen", "os.system", "os.exec"):
            return place == "git"  # which says rdad's commit
        if not isinstance(place, str | bytes | os.PathLike):
            return True
        path = Path(os.path.realpath(os.fsdecode(place)))
        mine = (self.work, self.tmp, self.cache)
        return path == Path(os.devnull) or any(map(path.is_relative_to, mine))

    def _beside(self) -> set[tuple[Path, bytes]]:
        found = [path for path in self.folder.rglob("*") if not path.is_relative_to(self.work)]
        return {(path, path.read_bytes() if path.is_file() else b"") for path in found}


def _install() -> None:
    """Once a process: hooks stay."""
    if not hasattr(sys, "_rdad_fuzz_hook"):
        sys.addaudithook(_heard)
        sys._rdad_fuzz_hook = True  # type: ignore[attr-defined]


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in PLACES:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
        return
    for index in PLACES[event]:
        box = _watching[-1]
        if not box.allows(event, arguments[index]):
            box.broken.append(f"{event} {arguments[index]!r}")

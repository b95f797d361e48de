"""Seeded cases, tried one after another in a forked child that they may break.

A subject is a module with `attempt(random, folder)`, which makes the case of a seeded Random, puts
it to rdad, and gives RIGHT or REFUSED; whatever it raises is a fault. A case also has to end in
time, to stay below MOST_BYTES, and to write nowhere but in its folder, see `fuzz.box`.
"""

import importlib
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from commands import FORKS

from fuzz.box import Box

VARIABLE = "RDAD_FUZZ"
"""Environment variable: short, the default; long; or cases alone, as `images:17,40`."""

RIGHT, REFUSED = "right", "refused"
MOST_BYTES = 1_000_000_000  # beside what the child found when it was forked
NEVER_BYTES = 6_000_000_000  # beside what is mapped: for the machine's sake
SHOWN_FAULTS = 10


class Outcome(NamedTuple):
    """What came of one case: RIGHT, REFUSED or what is wrong; `peak` is in bytes, as MOST_BYTES."""

    seed: int
    verdict: str
    seconds: float
    peak: int = 0

    @property
    def holds(self) -> bool:
        return self.verdict in (RIGHT, REFUSED)


class Row(NamedTuple):
    """A line of the table that `make fuzz` ends with."""

    subject: str
    tried: int
    held: int
    refused: int
    seconds: float
    peak: int


TABLE: list[Row] = []


def seeds(subject: str, *, short: int, long: int) -> Sequence[int]:
    """Of the cases to try now; skips the test where another subject's case is wanted alone."""
    said = os.environ.get(VARIABLE) or "short"
    name, alone, wanted = said.partition(":")
    if alone and name != subject:
        pytest.skip(f"{VARIABLE}={said}")
    if alone:
        return [int(seed) for seed in wanted.split(",")]
    return range({"short": short, "long": long}[said])


def tell(subject: str, found: Sequence[Outcome], seconds: float) -> None:
    """Add a line to the table, and fail where a case does not hold."""
    refused = sum(one.verdict == REFUSED for one in found)
    faults = [one for one in found if not one.holds]
    peak = max((one.peak for one in found), default=0)
    held = len(found) - len(faults)
    TABLE.append(Row(subject, len(found), held, refused, seconds, peak))
    told = [f"{VARIABLE}={subject}:{one.seed} make fuzz\n{one.verdict}" for one in faults]
    if told:
        pytest.fail("\n\n".join([f"{len(told)} cases", *told[:SHOWN_FAULTS]]), pytrace=False)


def table() -> str:
    head = f"{'subject':<16}{'tried':>7}{'held':>7}{'refused':>9}{'seconds':>9}{'peak MiB':>10}"
    lines = [
        f"{row.subject:<16}{row.tried:>7}{row.held:>7}{row.refused:>9}{row.seconds:>9.0f}"
        f"{row.peak / 2**20:>10.0f}"
        for row in TABLE
    ]
    return "\n".join([head, *lines])


def outcomes(subject: str, cases: Sequence[int], place: Path, patience: float) -> list[Outcome]:
    """What came of the cases of `fuzz.<subject>`, each of which may take `patience` seconds."""
    found: list[Outcome] = []
    child: _Child | None = None
    for seed in cases:
        child = child or _Child(subject, place)
        found.append(child.attempt(seed, patience))
        if not found[-1].holds:
            child.end()
            child = None
    if child:
        child.end()
    return found


class _Child:
    """A process that tries cases as long as they hold."""

    def __init__(self, subject: str, place: Path) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=_serve, args=(subject, place, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def attempt(self, seed: int, patience: float) -> Outcome:
        started = time.monotonic()
        try:
            self._pipe.send(seed)
            if self._pipe.poll(patience):
                return self._pipe.recv()
            fault = "it hangs"
        except (EOFError, ConnectionError):
            self._process.join()
            fault = f"the process died: {self._process.exitcode}"
        return Outcome(seed, fault, time.monotonic() - started)

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(subject: str, place: Path, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (NEVER_BYTES, NEVER_BYTES))
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.dont_write_bytecode = True
    place.mkdir(parents=True, exist_ok=True)
    kept = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "RDAD_CACHE_DIR")
    os.environ |= dict.fromkeys(kept, str(place / "cache"))
    attempt = importlib.import_module(f"fuzz.{subject}").attempt
    while True:
        seed = pipe.recv()
        started, box = time.monotonic(), Box(place, str(seed))
        try:
            with box.watched():
                verdict = attempt(Random(f"{subject} {seed}"), box.work)
        except BaseException:
            verdict = traceback.format_exc()
        finally:
            shutil.rmtree(box.folder, ignore_errors=True)
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - found) * 1024
        if peak > MOST_BYTES:
            verdict = f"{verdict}, with {peak:,} bytes of memory"
        pipe.send(Outcome(seed, verdict, time.monotonic() - started, peak))

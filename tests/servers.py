"""Programs of this environment that answer over HTTP, on a free port of this machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from commands import Command

START_SECONDS = 240  # 20 on an idle machine of two cores
PROGRAMS = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def program(
    name: str, *words: str, health: str, log: Path, **variables: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """The program, once the address `health` answers; all its processes end with it."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(PROGRAMS / name), *words],
            env=os.environ | {"PATH": path} | variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(health, process, log)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(health: str, process: "subprocess.Popen[bytes] | Command", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"{health} did not answer within {START_SECONDS} s: {log.read_text()}")

"""A tracking server, MLflow's own application, of which some answers are not what they should be.

A training's tracker ends in time whatever comes back, `upload` and what opens a model as well.
"""

import contextlib
import functools
import gzip
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from mlflow_stores import new_store
from run_folders import HISTORY, METRICS, PARAMS, TAGS, read_record
from trained_runs import ARGUMENTS, make_trained_run

import rdad.tracking.tracker
from fuzz.box import SECRET
from fuzz.changes import RAN, with_change
from fuzz.trials import REFUSED, RIGHT
from rdad import open_model
from rdad.data.store import default_cache_dir
from rdad.tracking import MlflowTracker, store
from rdad.tracking.models import register
from rdad.upload import upload

NEVER = 10**9
SECONDS = 40  # for all calls of a run, with limits for each of one or a few
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
LARGE_BODY = 200_000_000
STATUSES = (
    *(100, 201, 204, 206, 300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410, 413, 418, 422),
    *(429, 431, 500, 501, 502, 503, 504, 511, 599, 999),
)
BODIES = (
    *(b"", b"null", b"[]", b"3", b'"x"', b"{}", b"{", b"<html>Sign in</html>", b"\xff\xfe", b"NaN"),
    *(b"[" * 100_000, b'{"run": null}', b'{"run": {}}', b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'),
    *(b'{"error_code": 3, "message": {}}', b'{"experiment": {"experiment_id": null}}', b"x" * 10_000),
)
TARGETS = ("/", "//", "file:///etc/passwd", "http://127.0.0.1:9/", "x" * 9_000, "", "http://[::1", "\\")
Write = Callable[[bytes], object]


class Spoiler:
    """Decides which answers are spoilt, and how."""

    def __init__(self, random: Random, first: int | None = None) -> None:
        self.random, self.calls = random, 0
        self.first = random.choice([0, 1, 2, 3, random.randrange(60)]) if first is None else first
        self.last = random.choice([self.first, self.first, self.first + 3, NEVER])
        self.kind = random.choice(KINDS)
        self.lock, self.stop = threading.Lock(), threading.Event()

    def __call__(self, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
        with self.lock:
            spoilt = self.first <= self.calls <= self.last
            self.calls += 1
        (self.kind if spoilt else _plain)(self, status, headers, body, write)

    def __str__(self) -> str:
        return f"{self.kind.__name__[1:]} in answers {self.first} to {self.last} of {self.calls}"


def attempt(random: Random, folder: Path) -> str:
    os.environ |= IMPATIENT
    store.ANSWER_SECONDS, store.CALL_SECONDS, store.TRANSFER_SECONDS = 2, 3, 4
    rdad.tracking.tracker.START_SECONDS = 5
    spoiler, started = Spoiler(random), time.monotonic()
    run_dir = _own_run(folder / "run")
    use = random.choice([_tracked, _tracked, _tracked, _uploaded, _opened])
    try:
        with served(spoiler) as address:
            verdict = use(address, run_dir)
    except Exception as error:
        raise AssertionError(f"{use.__name__}: {spoiler}") from error
    seconds = time.monotonic() - started
    assert seconds < SECONDS, f"{seconds:.0f} s for {use.__name__}: {spoiler}"
    assert not list(folder.rglob(RAN)), str(spoiler)
    return verdict


def _tracked(address: str, run_dir: Path) -> str:
    tracker = MlflowTracker(address, system_metrics=False)
    tracker.start(experiment="x", run_name="x", params=PARAMS, tags=TAGS)
    for row in HISTORY:
        tracker.log_metrics({"train/loss": row["train/loss"]}, step=row["epoch"])
    tracker.fetch_training("f" * 32, run_dir)
    tracker.finish(run_dir, "FINISHED", {key: value or 0.0 for key, value in METRICS.items()})
    if tracker.error is None and tracker.model_error is None:
        return RIGHT
    _check_message(str(tracker.error or tracker.model_error))
    return REFUSED


def _uploaded(address: str, run_dir: Path) -> str:
    try:
        upload(run_dir, uri=address)
    except (OSError, ValueError) as error:
        _check_message(str(error))
        return REFUSED
    return RIGHT


def _opened(address: str, run_dir: Path) -> str:
    """Sent to the same store while all was well, then asked for."""
    run_id = _sent()
    try:
        register(run_id, name="x", alias="y", tracking_uri=address)
        assert open_model("models:/x@y", tracking_uri=address).predict
        assert open_model(run_id, tracking_uri=address).predict
    except (OSError, ValueError) as error:
        _check_message(str(error))
        return REFUSED
    return RIGHT


def _check_message(said: str) -> None:
    assert said.strip() and len(said) < 1000, said
    assert SECRET not in said and "Traceback" not in said, said


@functools.cache
def _uri() -> str:
    return new_store(default_cache_dir() / "store")


@functools.cache
def _sent() -> str:
    run_dir = _own_run(default_cache_dir() / "sent")
    with served(Spoiler(Random(0), first=NEVER)) as address:
        upload(run_dir, uri=address)
    run_id = read_record(run_dir)["tracking"]["run_id"]
    shutil.rmtree(run_dir)  # so that its model is fetched
    return run_id


def _own_run(folder: Path) -> Path:
    shutil.copytree(_made_once(), folder, copy_function=os.link)
    return folder


@functools.cache
def _made_once() -> Path:
    ARGUMENTS["layers"] = ["layer1"]
    return make_trained_run(default_cache_dir() / "run")


@functools.cache
def _application() -> Any:
    """MLflow's own, over a store in the cache."""
    artifacts = (default_cache_dir() / "artifacts").absolute()
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": _uri(),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    from mlflow.server import app

    return app


@contextlib.contextmanager
def served(spoiler: Spoiler) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle_one_request()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in self.headers if name != "Host"}
            given = _application().test_client().open(
                self.path, method=self.command, data=body, headers=headers
            )
            kept = {"Content-Type": given.headers.get("Content-Type", "text/plain")}
            content = b"" if self.command == "HEAD" else given.get_data()
            self.close_connection = True
            with contextlib.suppress(OSError):
                spoiler(given.status_code, kept, content, self.wfile.write)

        do_HEAD = do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    _application()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            spoiler.stop.set()
            server.shutdown()


def _head(status: int, headers: dict[str, str], length: int | None) -> bytes:
    given = headers | {"Connection": "close"} | ({} if length is None else {"Content-Length": str(length)})
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _plain(_: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write(_head(status, headers, len(body)) + body)


def _other_status(by: Spoiler, _: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write(_head(by.random.choice(STATUSES), headers, len(body)) + body)


def _other_body(by: Spoiler, status: int, headers: dict[str, str], _: bytes, write: Write) -> None:
    body = by.random.choice(BODIES)
    status = status if by.random.random() < 0.5 else by.random.choice(STATUSES)
    write(_head(status, headers, len(body)) + body)


def _other_values(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    with contextlib.suppress(ValueError):
        body = json.dumps(with_change(by.random, json.loads(body))[0]).encode(errors="replace")
    write(_head(status, headers, len(body)) + body)


def _redirected(by: Spoiler, _: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    headers = headers | {"Location": by.random.choice(TARGETS)}
    write(_head(by.random.choice([301, 302, 303, 307, 308]), headers, len(body)) + body)


def _later(by: Spoiler, _: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    waits = by.random.choice(["86400", "-1", "x", "Fri, 31 Dec 9999 23:59:59 GMT", "1e9", "inf"])
    write(_head(by.random.choice([429, 503, 413, 301]), headers | {"Retry-After": waits}, 0))


def _too_short(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write(_head(status, headers, len(body) + 1000) + body)


def _too_long(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write(_head(status, headers, len(body) // 2) + body)


def _silent(by: Spoiler, *_: Any) -> None:
    by.stop.wait(90)


def _half(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write((_head(status, headers, len(body)) + body)[: by.random.randrange(60)])
    by.stop.wait(90)


def _closed(by: Spoiler, *_: Any) -> None:
    pass


def _dripping(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    """Never silent for long, and never at its end."""
    write(_head(status, headers, 10**6) if by.random.random() < 0.7 else b"HTTP/1.1 200 ")
    while not by.stop.wait(0.2):
        write(b" ")


def _no_http(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    garbage = by.random.choice(
        [b"SSH-2.0-x\r\n", b"\x15\x03\x01\0\2\2", b"HTTP/9.9 x\r\n\r\n", b"\r\n" * 99, b"x" * 99_999]
    )
    write(garbage)


def _odd_headers(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    odd = by.random.choice(
        [
            {"Content-Encoding": "gzip"},
            {"Content-Encoding": "br"},
            {"Content-Type": "text/html; charset=nothing"},
            {"Transfer-Encoding": "chunked"},
            {"Set-Cookie": "x" * 70_000},
            {"WWW-Authenticate": "Negotiate \xff"},
            {f"X-{number}": "x" for number in range(200)},
        ]
    )
    write(_head(status, headers | odd, len(body)) + body)


def _large(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    write(_head(status, headers, LARGE_BODY))
    for _ in range(LARGE_BODY // 1_000_000):
        write(b" " * 1_000_000)


def _packed(by: Spoiler, status: int, headers: dict[str, str], body: bytes, write: Write) -> None:
    content = gzip.compress(b" " * LARGE_BODY, 1)
    write(_head(status, headers | {"Content-Encoding": "gzip"}, len(content)) + content)


KINDS = (
    *(_other_status, _other_body, _other_body, _other_values, _other_values, _other_values),
    *(_redirected, _later, _too_short, _too_long, _silent, _half, _closed, _dripping, _no_http),
    *(_odd_headers, _large, _packed),
)

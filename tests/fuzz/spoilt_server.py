"""MLflow's own application behind a server of which some answers are not what they should be."""

import contextlib
import functools
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, NamedTuple

from mlflow_stores import new_store

from fuzz.changes import with_change
from rdad.data.store import default_cache_dir

LARGE_BODY = 200_000_000
LONGEST_SECONDS = 90  # for which an answer is not given
STATUSES = (100, *range(200, 207), *range(300, 309), *range(400, 432), *range(500, 512), 599, 999)
BODIES = (
    *(b"", b"null", b"[]", b"3", b'"x"', b"{}", b"{", b"<html>Sign in</html>", b"\xff\xfe", b"NaN"),
    *(b"[" * 100_000, b"x" * 10_000, b'{"run": null}', b'{"run": {}}', b'{"error_code": 3}'),
    *(b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', b'{"experiment": {"experiment_id": null}}'),
)
TARGETS = ("/", "//", "file:///etc/passwd", "http://127.0.0.1:9/", "x" * 9_000, "", "http://[::1")
WAITS = ("86400", "-1", "x", "Fri, 31 Dec 9999 23:59:59 GMT", "1e9", "inf")
NO_HTTP = (
    b"SSH-2.0-x\r\n",
    b"\x15\x03\x01\0\2\2",
    b"HTTP/9 x\r\n\r\n",
    b"\r\n" * 99,
    b"x" * 99_999,
)
ODD_HEADERS = (
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "br"},
    {"Content-Type": "text/html; charset=nothing"},
    {"Transfer-Encoding": "chunked"},
    {"Set-Cookie": "x" * 70_000},
    {"WWW-Authenticate": "Negotiate \xff"},
    {f"X-{number}": "x" for number in range(200)},
)
Write = Callable[[bytes], object]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def encoded(self, length: int | None = None, **changed: Any) -> bytes:
        """As it goes over the wire, with a length that need not be its own."""
        one = self._replace(**changed)
        length = len(one.body) if length is None else length
        headers = {**one.headers, "Connection": "close", "Content-Length": str(length)}
        lines = [f"HTTP/1.1 {one.status} Said", *(f"{key}: {headers[key]}" for key in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + one.body


class Spoiler:
    """Decides which answers are spoilt, and how; none with `first` None."""

    def __init__(self, random: Random, first: int | None) -> None:
        self.random, self.first, self.calls = random, first, 0
        self.more = random.choice([0, 0, 3, 10**9])
        self.kind = random.choice(KINDS)
        self.lock, self.stop = threading.Lock(), threading.Event()

    def __call__(self, said: Answer, write: Write) -> None:
        with self.lock:
            place, self.calls = self.calls, self.calls + 1
        if self.first is None or not self.first <= place <= self.first + self.more:
            write(said.encoded())
        else:
            self.kind(self, said, write)

    def __str__(self) -> str:
        return f"{self.kind.__name__[1:]} from answer {self.first} on, of {self.calls}"


@functools.cache
def _application() -> Any:
    """MLflow's own, over a store in the cache."""
    cache = default_cache_dir().absolute()
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": new_store(cache / "store"),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(cache / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    from mlflow.server import app

    return app


@contextlib.contextmanager
def served(spoiler: Spoiler) -> Iterator[str]:
    """The server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().handle_one_request()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = {name: self.headers[name] for name in self.headers if name != "Host"}
            client = _application().test_client()
            given = client.open(self.path, method=self.command, data=body, headers=asked)
            headers = {"Content-Type": given.headers.get("Content-Type", "text/plain")}
            content = b"" if self.command == "HEAD" else given.get_data()
            self.close_connection = True
            with contextlib.suppress(OSError):
                spoiler(Answer(given.status_code, headers, content), self.wfile.write)

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


def _other_status(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded(status=by.random.choice(STATUSES)))


def _other_body(by: Spoiler, said: Answer, write: Write) -> None:
    status = by.random.choice([said.status, by.random.choice(STATUSES)])
    write(said.encoded(status=status, body=by.random.choice(BODIES)))


def _other_values(by: Spoiler, said: Answer, write: Write) -> None:
    with contextlib.suppress(ValueError):
        content = with_change(by.random, json.loads(said.body))[0]
        said = said._replace(body=json.dumps(content).encode())
    write(said.encoded())


def _redirected(by: Spoiler, said: Answer, write: Write) -> None:
    headers = said.headers | {"Location": by.random.choice(TARGETS)}
    write(said.encoded(status=by.random.choice([301, 302, 303, 307, 308]), headers=headers))


def _later(by: Spoiler, said: Answer, write: Write) -> None:
    headers = said.headers | {"Retry-After": by.random.choice(WAITS)}
    write(said.encoded(status=by.random.choice([429, 503, 413, 301]), headers=headers))


def _too_short(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded(length=len(said.body) + 1000))


def _too_long(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded(length=len(said.body) // 2))


def _silent(by: Spoiler, said: Answer, write: Write) -> None:
    by.stop.wait(LONGEST_SECONDS)


def _half(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded()[: by.random.randrange(60)])
    by.stop.wait(LONGEST_SECONDS)


def _closed(by: Spoiler, said: Answer, write: Write) -> None:
    pass


def _dripping(by: Spoiler, said: Answer, write: Write) -> None:
    """Never silent for long, and never at its end."""
    write(by.random.choice([b"HTTP/1.1 200 ", said.encoded(length=10**6, body=b"")]))
    while not by.stop.wait(0.2):
        write(b" ")


def _no_http(by: Spoiler, said: Answer, write: Write) -> None:
    write(by.random.choice(NO_HTTP))


def _odd_headers(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded(headers=said.headers | by.random.choice(ODD_HEADERS)))


def _large(by: Spoiler, said: Answer, write: Write) -> None:
    write(said.encoded(length=LARGE_BODY, body=b""))
    for _ in range(LARGE_BODY // 1_000_000):
        write(b" " * 1_000_000)


def _packed(by: Spoiler, said: Answer, write: Write) -> None:
    """A small answer that is unpacked to a large one."""
    headers = said.headers | {"Content-Encoding": "gzip"}
    write(said.encoded(headers=headers, body=gzip.compress(b" " * LARGE_BODY, 1)))


KINDS = (
    *(_other_status, _other_body, _other_body, _other_values, _other_values, _other_values),
    *(_redirected, _later, _too_short, _too_long, _silent, _half, _closed, _dripping, _no_http),
    *(_odd_headers, _large, _packed),
)

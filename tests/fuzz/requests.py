"""Requests to a served model: images, whose answers are known, and one in ten that is hostile."""

import base64
import http.client
import io
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from random import Random
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from PIL import Image

from fuzz.images import written
from fuzz.overwhelming import overwhelming
from fuzz.trials import REFUSED, RIGHT, Outcome
from rdad.detector.loaded_run import LoadedRun

HOSTILE = 0.1
SECONDS = 300  # for one answer, where two hundred wait
SAMPLED_EVERY = 0.2  # seconds
GIVEN_BACK_SECONDS = 10
KEPT_BYTES = 300_000_000  # beside what there was before
MOST_BYTES = 1_000_000_000  # likewise: 10 for each pixel of the largest image
PATH = "/invocations"
JSON = "application/json"
REFUSALS = range(400, 500)
MLFLOWS_OWN = (500, b"Internal Server Error")  # JSON that its parser does not survive
TOO_BUSY = (504, b"Request processing time exceeded limit")  # MLflow's minute for each request


class Photograph(NamedTuple):
    encoded: str
    score: float
    label: str | None


def photographs(run: LoadedRun, count: int = 40) -> list[Photograph]:
    """Noise of many sizes, and what `predict` says of it."""
    generator, found = np.random.default_rng(0), []
    for number in range(count):
        side = 20 + 17 * (number % 9)
        pixels = generator.integers(0, 1 + 6 * number, (side, 150 - side // 2, 3), np.uint8)
        content, told = io.BytesIO(), run.predict(pixels)
        Image.fromarray(pixels).save(content, "PNG")
        encoded = base64.b64encode(content.getvalue()).decode()
        found.append(Photograph(encoded, told.score, told.label))
    return found


def load(
    port: int, known: Sequence[Photograph], seeds: Sequence[int], clients: int
) -> list[Outcome]:
    """The requests of the seeds, by so many clients at once."""
    waiting: SimpleQueue[int] = SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    found: list[Outcome] = []

    def client() -> None:
        with suppress(Empty):
            while True:
                seed, started = waiting.get_nowait(), time.monotonic()
                try:
                    verdict = _asked(Random(f"requests {seed}"), port, known)
                except Exception as error:
                    verdict = f"{type(error).__name__}: {error}"
                found.append(Outcome(seed, verdict, time.monotonic() - started))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _asked(random: Random, port: int, known: Sequence[Photograph]) -> str:
    if random.random() < HOSTILE:
        return random.choice(KINDS)(random, port)
    chosen = random.choices(known, k=random.choice([1, 1, 2, 5]))
    status, answer = _sent(port, {"dataframe_records": [{"image": one.encoded} for one in chosen]})
    if (status, answer) == TOO_BUSY:
        return REFUSED
    assert status == 200, f"{status}: {answer!r:.500}"
    rows = json.loads(answer)["predictions"]
    assert [row["label"] for row in rows] == [one.label for one in chosen]
    assert [row["score"] for row in rows] == pytest.approx([one.score for one in chosen], rel=1e-5)
    return RIGHT


def _sent(port: int, body: Any, kind: str = JSON, path: str = PATH) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, content, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _checked(status: int, answer: bytes, *, image: bool = True) -> str:
    """A client's mistake is called one; but for MLflow, where no image comes as far as rdad."""
    if (status, answer) == TOO_BUSY or (not image and (status, answer) == MLFLOWS_OWN):
        return REFUSED
    assert status in REFUSALS or status == 200, f"{status}: {answer!r:.700}"
    assert status == 200 or b"rdad/" not in answer, f"code is shown: {answer!r:.700}"
    return RIGHT if status == 200 else REFUSED


def _odd_image(random: Random, port: int) -> str:
    content = overwhelming(random) if random.random() < 0.4 else written(random).content
    texts = [base64.b64encode(content).decode(), "", "=", "é", "a" * 1_000_001]
    image = random.choice([texts[0], texts[0], texts[0], *texts])
    key = random.choice(["dataframe_records", "inputs", "instances"])
    body = {key: [{"image": image}], "params": {"maps": random.random() < 0.3}}
    return _checked(*_sent(port, body))


def _odd_body(random: Random, port: int) -> str:
    """JSON that is no request."""
    values: list[Any] = [
        None,
        3,
        "x",
        [],
        {},
        [[]],
        [None],
        {"image": None},
        [{"image": 3}],
        -1e308,
    ]
    value = random.choice([*values, [{"image": ["x"]}], [{"x": "x"}], {"columns": 3, "data": []}])
    key = random.choice(
        ["dataframe_records", "dataframe_split", "inputs", "instances", "x", "params"]
    )
    body = random.choice([value, {key: value}, {key: value, "inputs": value}])
    return _checked(*_sent(port, body), image=False)


def _odd_params(random: Random, port: int) -> str:
    value = random.choice([None, "x", 3, [], {"maps": "perhaps"}, {"maps": []}, {"x": 1}, {"": {}}])
    image = base64.b64encode(_small()).decode()
    return _checked(*_sent(port, {"dataframe_records": [{"image": image}], "params": value}))


def _odd_text(random: Random, port: int) -> str:
    """No JSON, or none that is called so."""
    body = random.choice(
        [b"", b"{", b"\xff\xfe\0", b"[" * 100_000, b'{"inputs": NaN}', b"image\nx\n", b"\0" * 10**6]
    )
    kind = random.choice(
        [JSON, "text/csv", "image/png", "", "application/json; charset=x", "x/y;z"]
    )
    return _checked(*_sent(port, body, kind), image=False)


def _many(random: Random, port: int) -> str:
    """Hundreds of images in one request."""
    image = base64.b64encode(_small()).decode()
    return _checked(*_sent(port, {"inputs": [{"image": image}] * random.choice([100, 300])}))


def _elsewhere(random: Random, port: int) -> str:
    path = random.choice(
        ["/", "/nothing", "/../../etc/passwd", "/invocations/x", "/" + "x" * 9_000]
    )
    return _checked(*_sent(port, {}, path=path), image=False)


def _broken_off(random: Random, port: int) -> str:
    """A client that leaves in the middle, resets, or says another length."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.connect()
    length = random.choice([10**6, 10**12, -1, "x"])
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        f"Content-Type: {JSON}",
        f"Content-Length: {length}",
    ]
    head = "\r\n".join([*lines, "", ""])
    with suppress(OSError):
        connection.sock.sendall(head.encode() + b'{"inputs": ' + b" " * random.randrange(9_000))
        time.sleep(random.random())
        if random.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            connection.sock.setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER: a reset
    connection.close()
    return REFUSED


def _small() -> bytes:
    content = io.BytesIO()
    Image.new("L", (30, 30), 90).save(content, "PNG")
    return content.getvalue()


KINDS: tuple[Callable[[Random, int], str], ...] = (
    *(_odd_image, _odd_image, _odd_image, _odd_body, _odd_params, _odd_text),
    *(_many, _elsewhere, _broken_off),
)


class Memory:
    """What a server has in memory: before, at most, and once all is answered."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self.before = self.peak = self.now()

    def outcome(self) -> Outcome:
        """RIGHT where it was bounded and given back, as a case of its own."""
        deadline = time.monotonic() + GIVEN_BACK_SECONDS
        while (now := self.now()) > self.before + KEPT_BYTES and time.monotonic() < deadline:
            time.sleep(SAMPLED_EVERY)
        sizes = (one / 2**20 for one in (self.before, self.peak, now))
        told = "MiB: {:.0f} before, {:.0f} at most, {:.0f} after".format(*sizes)
        print(told)
        good = max(self.peak - MOST_BYTES, now - KEPT_BYTES) < self.before
        return Outcome(-1, RIGHT if good else told, 0, self.peak)

    def now(self) -> int:
        """Of the largest of them: the server's worker."""
        found = [0]
        for one in [self._process, *self._process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found.append(one.memory_info().rss)
        return max(found)

    @contextmanager
    def watched(self) -> Iterator[None]:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(SAMPLED_EVERY):
                self.peak = max(self.peak, self.now())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

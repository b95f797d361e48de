"""A registered model behind `mlflow models serve`, sent photographs over HTTP."""

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
from fuzz import requests
from fuzz.trials import seeds, tell
from mlflow_stores import new_store, only_run
from PIL import Image
from skimage import data
from trained_runs import make_trained_run

from rdad import load_run
from rdad.detector.loaded_run import LoadedRun
from rdad.tracking.models import register
from rdad.upload import upload

START_SECONDS = 240  # 20 on an idle machine of two cores
THRESHOLD = 1.82  # between the scores of the photographs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return load_run(make_trained_run(tmp_path_factory.mktemp("runs") / "run", threshold=THRESHOLD))


class Server(NamedTuple):
    """A served model: its port, and the process above all of its processes."""

    port: int
    process: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/invocations"


@pytest.fixture(scope="module")
def server(run: LoadedRun) -> Iterator[Server]:
    """The run's model, by the name and alias it was registered under."""
    assert run.run_dir is not None
    uri = new_store(run.run_dir.parent / "store")
    upload(run.run_dir, uri=uri)
    register(only_run(uri).info.run_id, name="brick", alias="champion", tracking_uri=uri)
    log = run.run_dir.parent / "served.log"
    with served("models:/brick@champion", uri, log) as server:
        yield server


@pytest.fixture
def address(server: Server) -> str:
    return server.address


@contextlib.contextmanager
def served(model: str, uri: str, log: Path) -> Iterator[Server]:
    """All processes of the server end with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    command = [str(programs / "mlflow"), "models", "serve", "-m", model]
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | {"MLFLOW_TRACKING_URI": uri, "PATH": path},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield Server(port, process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not answer within {START_SECONDS} s: {log.read_text()}")


def photographs(count: int) -> list[np.ndarray]:
    """Photographs in four sizes."""
    four = [data.brick(), data.grass()[:300], data.gravel()[:, :200], data.astronaut()]
    return [np.ascontiguousarray(np.roll(four[n % 4], n, axis=0)) for n in range(count)]


def encoded(image: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def ask(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.parametrize("count", [1, 3, 16])
def test_photographs_of_four_sizes_get_over_http_what_predict_says(
    count: int, address: str, run: LoadedRun
):
    images = photographs(count)
    records = [{"image": encoded(image)} for image in images]
    answers = ask(address, {"dataframe_records": records, "params": {"maps": count == 3}})
    assert len(answers) == count
    for answer, image in zip(answers, images, strict=True):
        expected = run.predict(image)
        assert answer["score"] == pytest.approx(expected.score, rel=1e-5)
        assert answer["normalised_score"] == pytest.approx(expected.normalised_score, rel=1e-4)
        assert answer["label"] == expected.label
        assert ("anomaly_map" in answer) == (count == 3)
        if count == 3:
            content = io.BytesIO(base64.b64decode(answer["anomaly_map"]))
            np.testing.assert_allclose(tifffile.imread(content), expected.anomaly_map, rtol=1e-4)


def test_the_other_spellings_of_a_request_get_the_same(address: str):
    images = [encoded(image) for image in photographs(2)]
    records = [{"image": image} for image in images]
    answer = ask(address, {"dataframe_records": records})
    table = {"columns": ["image"], "data": [[image] for image in images]}
    assert ask(address, {"dataframe_split": table}) == answer
    assert ask(address, {"inputs": records}) == answer
    assert ask(address, {"inputs": {"image": images}}) == answer
    assert ask(address, {"instances": records}) == answer


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"dataframe_records": [{"image": "aGVsbG8="}]}, "image 1: not an image that Pillow can"),
        ({"dataframe_records": [{"picture": "aGVsbG8="}]}, "image"),
        ({"dataframe_records": [{"image": None}]}, "image"),
        ({"params": {}}, "dataframe_records"),
    ],
    ids=["broken", "other column", "null", "nothing"],
)
def test_a_request_that_cannot_be_used_gives_400_and_the_reason(
    body: dict[str, Any], reason: str, address: str
):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(address, body)
    assert refused.value.code == 400
    message = json.load(refused.value)["message"]
    assert reason in message
    assert ask(address, {"dataframe_records": [{"image": encoded(photographs(1)[0])}]})


@pytest.mark.timeout(7200)
def test_many_clients_get_what_predict_says_whatever_some_of_them_send(
    server: Server, run: LoadedRun
):
    """Of 200 clients in `make fuzz`; one request in ten is hostile. Memory is given back."""
    cases = seeds("requests", short=60, long=2000)
    known = requests.photographs(run)
    requests.load(server.port, known, range(10_000, 10_020), clients=4)  # warms it up
    memory, started = requests.Memory(server.process), time.monotonic()
    with memory.watched():
        found = requests.load(server.port, known, cases, clients=min(200, len(cases) // 4 + 1))
    tell("requests", [*found, memory.outcome()], time.monotonic() - started)

"""A registered model behind `rdad.serve` and `mlflow models serve`, sent photographs over HTTP."""

import base64
import contextlib
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import commands
import numpy as np
import pytest
import tifffile
from fuzz import requests
from fuzz.trials import seeds, tell
from mlflow_stores import new_store, only_run
from PIL import Image
from servers import free_port, program, wait_for
from skimage import data
from trained_runs import make_trained_run

from rdad import load_run
from rdad.detector.loaded_run import LoadedRun
from rdad.tracking.models import register
from rdad.upload import upload

EDGE, FILE = "edge-of-a-part", '; filename="photo.png"'
FORM = f"multipart/form-data; boundary={EDGE}"
CURL = re.compile(r"curl [^`\n]*/invocations")  # of the pages
REPO = Path(__file__).parents[2]
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
def store(run: LoadedRun) -> str:
    """Where the run's model has a name and an alias."""
    assert run.run_dir is not None
    uri = new_store(run.run_dir.parent / "store")
    upload(run.run_dir, uri=uri)
    register(only_run(uri).info.run_id, name="brick", alias="champion", tracking_uri=uri)
    return uri


@pytest.fixture(scope="module", params=["mlflow models serve", "rdad.serve"])
def server(
    request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The registered model, served by MLflow, and by rdad."""
    serve = served_by_mlflow if request.param.startswith("mlflow") else served
    with serve("models:/brick@champion", store, tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def address(server: Server) -> str:
    return server.address


@pytest.fixture(scope="module")
def own(run: LoadedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The run folder, served by rdad, which takes requests of 3 MB at most."""
    folder = tmp_path_factory.mktemp("own")
    with served(str(run.run_dir), None, folder, "largest_mb=3") as server:
        yield server


@contextlib.contextmanager
def served(model: str, uri: str | None, folder: Path, *options: str) -> Iterator[Server]:
    port = free_port()
    words = ["-m", "rdad.serve", model, f"port={port}", *options]
    process = commands.Command(words, folder, MLFLOW_TRACKING_URI=uri)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, process.stderr)
        yield Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@contextlib.contextmanager
def served_by_mlflow(model: str, uri: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    words = ["models", "serve", "-m", model, "--env-manager", "local", "--port", str(port)]
    health, log = f"http://127.0.0.1:{port}/health", folder / "log"
    with program("mlflow", *words, health=health, log=log, MLFLOW_TRACKING_URI=uri) as process:
        yield Server(port, process.pid)


def photographs(count: int) -> list[np.ndarray]:
    """Photographs in four sizes."""
    four = [data.brick(), data.grass()[:300], data.gravel()[:, :200], data.astronaut()]
    return [np.ascontiguousarray(np.roll(four[n % 4], n, axis=0)) for n in range(count)]


def file(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def encoded(image: np.ndarray) -> str:
    return base64.b64encode(file(image)).decode()


def ask(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    return send(address, json.dumps(body).encode(), "application/json")


def send(address: str, body: bytes | Iterable[bytes], kind: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(address, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["predictions"]


def form(**fields: str | bytes | list[bytes]) -> bytes:
    """As a browser sends it, with `EDGE` between the fields."""
    parts = []
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            head = f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"'
            named, content = ("", value.encode()) if isinstance(value, str) else (FILE, value)
            parts += [f"{head}{named}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join([*parts, f"--{EDGE}--\r\n".encode()])


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


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_a_file_as_it_is_gets_what_predict_says(kind: str, own: Server, run: LoadedRun):
    (image,) = photographs(1)
    (answer,) = send(own.address, file(image), kind)
    assert answer["score"] == pytest.approx(run.predict(image).score, rel=1e-5)
    assert answer.keys() == {"score", "normalised_score", "label"}


def test_params_stand_in_the_address_or_in_the_form(own: Server):
    images = [file(image) for image in photographs(2)]
    scores = [row["score"] for row in send(own.address, form(image=images), FORM)]
    between = str(sum(scores) / 2)
    answer = send(own.address, form(image=images, threshold=between, regions="true"), FORM)
    assert sorted(row["label"] for row in answer) == ["defective", "good"]
    assert [row["score"] for row in answer] == scores
    assert all("outline" in region for row in answer for region in row["regions"])
    address = f"{own.address}?threshold={between}&regions=true"
    assert send(address, form(image=images), FORM) == answer
    (alone,) = send(address, images[0], "image/png")
    assert (alone["label"], alone.keys()) == (answer[0]["label"], answer[0].keys())


@pytest.mark.parametrize("page", ["README.md", "docs/inspection.md"])
def test_the_line_of_the_pages_sends_a_photograph_of_two_megabytes(
    page: str, own: Server, tmp_path: Path
):
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine: apt-get install curl")
    noise = np.random.default_rng(0).integers(0, 256, (820, 820, 3), np.uint8)
    (tmp_path / "new").mkdir()
    Image.fromarray(noise).save(tmp_path / "new" / "003.png")
    assert (tmp_path / "new" / "003.png").stat().st_size > 2_000_000
    lines = CURL.findall((REPO / page).read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        words = shlex.split(line.replace(":5001", f":{own.port}"))
        done = subprocess.run([*words, "--silent"], cwd=tmp_path, capture_output=True, check=True)
        answer = json.loads(done.stdout)
        assert len(answer.get("predictions", ())) == 1, answer


HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "image/png", "image 1: not an image that Pillow can"),
    "text": (b"hello", "text/plain", "image 1: not an image that Pillow can"),
    "half": (file(photographs(1)[0])[:200], "image/png", "image 1: damaged or unsupported"),
    "second": (form(image=[file(photographs(1)[0]), b"x"]), FORM, "image 2: not an image"),
    "no file": (form(threshold="2"), FORM, "the form has no file"),
    "no edge": (form(image=b"x"), "multipart/form-data", "boundary"),
    "cut off": (form(image=b"x")[:20], FORM, "the form has no file"),
    "no form": (b"\0" * 100, FORM, "Invalid multipart data"),
    "param": (
        form(image=b"x", thresholt="2"),
        FORM,
        "no param 'thresholt'; allowed: maps, regions",
    ),
    "value": (form(image=b"x", threshold="much"), FORM, "threshold"),
    "below 0": (form(image=b"x", threshold="-1"), FORM, "threshold must be above 0; found -1"),
    "deep": (b"[" * 100_000, "application/json", "no JSON of a request"),
    "list": (b"[]", "application/json", "no JSON of a request"),
    "params": (
        b'{"inputs": {"image": ["x"]}, "params": [1]}',
        "application/json",
        "must be a dictionary",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_upload_that_cannot_be_used_gets_one_sentence(name: str, own: Server):
    body, kind, reason = HOSTILE[name]
    status, message = refusal(own.address, body, kind)
    assert status == 400
    assert reason in message and "\n" not in message and len(message) < 400


@pytest.mark.parametrize("length", [3_000_001, None], ids=["said", "in parts"])
def test_more_than_the_largest_request_is_refused(length: int | None, own: Server):
    parts = (b"\0" * 100_000 for _ in range(31))
    body = b"".join(parts) if length else parts
    status, message = refusal(own.address, body, "image/png")
    assert (status, message) == (413, "a request of more than 3 MB (largest_mb)")
    assert send(own.address, file(photographs(1)[0]), "image/png")


def refusal(address: str, body: bytes | Iterable[bytes], kind: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        send(address, body, kind)
    return refused.value.code, json.load(refused.value)["message"]


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

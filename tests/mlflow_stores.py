"""Real MLflow stores for the tests: an SQLite file, a server that can be killed, a dead address."""

import contextlib
import functools
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands import Command
from mlflow import MlflowClient
from mlflow.entities import Run

SERVER = """
from pathlib import Path
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
Path("draft").write_text(str(server.server_port))
Path("draft").rename("port")
server.serve_forever()
"""


@functools.cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
        return Path(folder, "mlflow.db").read_bytes()


def new_store(folder: Path) -> str:
    """The address of an empty store in `folder`; copying what MLflow made once saves 1.5 s."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlflow.db").write_bytes(_empty_database())
    return f"sqlite:///{folder}/mlflow.db"


@contextlib.contextmanager
def server_over(uri: str, artifacts: Path) -> Iterator[tuple[str, Command]]:
    """MLflow's own web application on a free port of this machine, and its process."""
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder, "port")
        process = Command(["-c", SERVER], Path(folder), **settings)
        try:
            while not port.exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port.read_text()}", process
        finally:
            process.kill()
            process.communicate()


def dead_address() -> str:
    """An http address of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def only_run(uri: str) -> Run:
    """The one run that the store holds in all its experiments."""
    (run,) = all_runs(uri)
    return run


def all_runs(uri: str) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    groups = [group.experiment_id for group in client.search_experiments()]
    return list(client.search_runs(groups, order_by=["attributes.start_time"]))


def contents(uri: str, run: Run) -> dict[str, Any]:
    """What a reader of the page sees of a run, without ids and times."""
    client = MlflowClient(tracking_uri=uri)
    series = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    return {
        "name": run.info.run_name,
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {
            key: [(point.step, point.value) for point in points] for key, points in series.items()
        },
        "artifacts": {path: _bytes(client, run, path) for path in _files(client, run, "")},
    }


def _files(client: MlflowClient, run: Run, folder: str) -> Iterator[str]:
    for entry in client.list_artifacts(run.info.run_id, folder or None):
        if entry.is_dir:
            yield from _files(client, run, entry.path)
        else:
            yield entry.path


def _bytes(client: MlflowClient, run: Run, path: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run.info.run_id, path, folder)).read_bytes()

"""Finding and opening an MLflow store: addresses, the first initialisation, limits on waiting."""

import contextlib
import logging
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DEFAULT_URI = "sqlite:///mlflow.db"
SERVERS = ("http://", "https://")
LOCAL_PAGE = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers unless it is told otherwise."""

KNOCK_SECONDS = 5
LOCK_SECONDS = 120
QUIET_AND_PATIENT = {  # MLflow's own limits add up to minutes for each call
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def resolve_uri(uri: str) -> str:
    """`uri` with a relative SQLite path made absolute against the current folder.

    Raises:
        ValueError: it is empty, or names a folder, which MLflow no longer writes runs to.
    """
    is_address = "://" in uri or uri.startswith("databricks")
    if not is_address or uri.startswith("file:"):
        raise ValueError(
            f"tracking.uri is {uri!r}, which MLflow cannot write runs to; allowed are a file "
            "(sqlite:///mlflow.db), a server (http://host:5000) or a database (postgresql://...); "
            "tracking=off trains without MLflow"
        )
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"


def default_uri() -> str:
    """The store that MLFLOW_TRACKING_URI names, else a file in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def is_server(uri: str) -> bool:
    return uri.startswith(SERVERS)


def page_address(uri: str) -> str:
    """Where the web page of this store is found: the server itself, or a local `mlflow ui`."""
    return uri.rstrip("/") if is_server(uri) else LOCAL_PAGE


def ui_command(uri: str) -> str:
    """What to type to see the store: a command, or for a server nothing but its address."""
    if is_server(uri):
        return page_address(uri)
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def reason(failure: Exception, length: int = 200) -> str:
    """The beginning of what an exception says, on one line; MLflow's run over pages."""
    said = " ".join(str(failure).split())
    return f"{said[:length]}{'...' if len(said) > length else ''} ({type(failure).__name__})"


def open_client(uri: str) -> "MlflowClient":
    """A client of the store, which is made if it is an SQLite file that is not there yet.

    Processes that meet an empty file take turns: MLflow's own initialisation crashes when two do
    it at once.

    Raises:
        Whatever MLflow, the network or the file system raise when there is no store to be had.
    """
    for variable, value in QUIET_AND_PATIENT.items():
        os.environ.setdefault(variable, value)
    if is_server(uri):
        _knock(uri)
    from mlflow import MlflowClient

    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # the tracker warns, once
    with _one_at_a_time(uri):
        if uri.startswith(SQLITE) and not _database(uri).exists():
            _make_database(_database(uri))
        return MlflowClient(tracking_uri=uri)


def open_existing(uri: str) -> "MlflowClient":
    """As `open_client`, to read: no store is made.

    Raises:
        FileNotFoundError: the SQLite file is not there.
    """
    if uri.startswith(SQLITE) and not _database(uri).is_file():
        raise FileNotFoundError(
            f"no MLflow store {uri}; MLFLOW_TRACKING_URI or tracking_uri name another"
        )
    return open_client(uri)


def _make_database(database: Path) -> None:
    """Make it elsewhere and put it in place whole: one that was left half made stays broken."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
        draft = Path(folder) / "mlflow.db"
        MlflowClient(tracking_uri=f"{SQLITE}{draft}")
        draft.replace(database)


def experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    """The id of the experiment `name`, which is made if need be, its artifacts beside the store.

    Raises:
        RuntimeError: it was deleted, and MLflow keeps the name; says what to do.
    """
    with _one_at_a_time(uri):
        found = client.get_experiment_by_name(name)
        if found is None:
            return client.create_experiment(name, artifact_location=_artifact_location(uri))
    if found.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment {name!r} was deleted from the store; give another name "
            f"(tracking.experiment=...) or run: mlflow experiments restore -x {found.experiment_id}"
        )
    return found.experiment_id


def _knock(uri: str) -> None:
    """Fail within seconds, and readably, where MLflow's client would retry."""
    import requests

    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        requests.head(uri, timeout=KNOCK_SECONDS)
    except requests.RequestException as failure:
        raise ConnectionError(f"no answer from {uri}") from failure


def _one_at_a_time(uri: str) -> contextlib.AbstractContextManager[object]:
    if not uri.startswith(SQLITE):
        return contextlib.nullcontext()
    from filelock import FileLock

    database = _database(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock", timeout=LOCK_SECONDS)


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE).partition("?")[0])


def _artifact_location(uri: str) -> str | None:
    """Beside a local database; None leaves the choice to a server."""
    if is_server(uri) or uri.startswith("databricks"):
        return None
    folder = _database(uri).parent if uri.startswith(SQLITE) else Path.cwd()
    return (folder / "mlartifacts").as_uri()

"""An MLflow store: its address, its first initialisation, limits on waiting for it."""

import contextlib
import functools
import logging
import os
import re
import shlex
from collections.abc import Callable
from concurrent.futures import Future
from importlib.metadata import entry_points
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from rdad.tracking.databases import (
    DATABASES,
    SQLITE,
    make_sqlite,
    one_at_a_time,
    sqlite_file,
    with_driver,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

T = TypeVar("T")
DEFAULT_URI = "sqlite:///mlflow.db"
LOCAL_PAGE = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers unless it is told otherwise."""

CREDENTIALS = re.compile(r"(?<=://)(?:[^/\s\"'<>]*|[^/\s:]*:(?!\d+/)[^@\s]*)@")
"""What stands before a host; a database's password may hold a slash, where a port ends at one."""

KNOCK_SECONDS = 5
ANSWER_SECONDS = 10  # to the knock, as a whole; a server that drips is never silent
CALL_SECONDS = 120  # a whole call of the client, with what it tries again
TRANSFER_SECONDS = 1800  # a call that moves files
QUIET_AND_PATIENT = {  # MLflow's own limits add up to minutes for each call
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # a server may say a day
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def default_uri() -> str:
    """The store that MLFLOW_TRACKING_URI names, else a file in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def absolute_uri(uri: str) -> str:
    """The address, a relative SQLite path counted from the current folder."""
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}" if uri.startswith(SQLITE) else uri


def shown_uri(text: str) -> str:
    """An address, or a text that quotes one, without its user and password.

    All that is shown, kept or sent goes through here.
    """
    return CREDENTIALS.sub("", text)


def kept_uri(shown: str) -> str:
    """The store that a run.json names, with the user and password of MLFLOW_TRACKING_URI."""
    known = default_uri()
    return known if shown_uri(known) == shown else shown


def reason(failure: Exception, length: int = 200) -> str:
    """The beginning of what an exception says, on one line; MLflow's run over pages."""
    said = shown_uri(" ".join(str(failure).split()))
    return f"{said[:length]}{'...' if len(said) > length else ''} ({type(failure).__name__})"


class Store:
    """One MLflow store; as a text, its address without user and password.

    Args:
        uri: A relative SQLite path counts from the current folder.

    Raises:
        ValueError: `uri` is no address, names a folder, which MLflow no longer writes runs to, or
            PostgreSQL without a driver for it.
    """

    def __init__(self, uri: str) -> None:
        if not _is_address(uri):
            raise ValueError(
                f"tracking.uri is {shown_uri(uri)!r}, which MLflow cannot write runs to; allowed "
                "are a file (sqlite:///mlflow.db), a server (http://host:5000) or a database "
                "(postgresql://...); tracking=off trains without MLflow"
            )
        self._typed = absolute_uri(uri)
        self.database = sqlite_file(self._typed)
        self.uri = with_driver(self._typed)
        self.is_server = uri.startswith(("http://", "https://"))

    def __str__(self) -> str:
        return shown_uri(self._typed)

    @property
    def page(self) -> str:
        """Where the web page of this store is found: the server itself, or a local `mlflow ui`."""
        return str(self).rstrip("/") if self.is_server else LOCAL_PAGE

    @property
    def ui_command(self) -> str:
        """What to type to see the store: a command, or for a server nothing but its address."""
        command = f"mlflow ui --backend-store-uri {shlex.quote(str(self))}"
        return self.page if self.is_server else command

    def open(self) -> "MlflowClient":
        """A client of the store, which is made if it is an SQLite file that is not there yet.

        Raises:
            Whatever MLflow, the network or the file system raise when there is no store to be had.
        """
        for variable, value in QUIET_AND_PATIENT.items():
            os.environ.setdefault(variable, value)
        if self.is_server:
            self._knock()
        from mlflow import MlflowClient

        logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # the tracker warns
        with one_at_a_time(self.uri):
            if self.database and not self.database.exists():
                make_sqlite(self.database)
            client = MlflowClient(tracking_uri=self.uri)
        return cast("MlflowClient", _InTime(client)) if self.is_server else client

    def open_existing(self) -> "MlflowClient":
        """As `open`, to read: no store is made.

        Raises:
            FileNotFoundError: the SQLite file is not there.
        """
        if self.database and not self.database.is_file():
            raise FileNotFoundError(
                f"no MLflow store {self}; MLFLOW_TRACKING_URI or tracking_uri name another"
            )
        return self.open()

    def experiment_id(self, client: "MlflowClient", name: str) -> str:
        """The id of the experiment `name`, which is made if need be, its artifacts beside a file.

        Raises:
            RuntimeError: it was deleted, and MLflow keeps the name; says what to do.
        """
        with one_at_a_time(self.uri):
            found = client.get_experiment_by_name(name) or self._made(client, name)
        if found.lifecycle_stage != "active":
            raise RuntimeError(
                f"the experiment {name!r} was deleted from the store; give another name "
                "(tracking.experiment=...) or run: "
                f"mlflow experiments restore -x {found.experiment_id}"
            )
        return found.experiment_id

    def download(self, location: str, folder: str) -> str:
        """Where the files of an artifact's address lie now, below `folder`; limited in time."""
        from mlflow.artifacts import download_artifacts

        get = functools.partial(download_artifacts, dst_path=folder, tracking_uri=self.uri)
        return within(TRANSFER_SECONDS, functools.partial(get, location))

    def _made(self, client: "MlflowClient", name: str) -> "Experiment":
        """The new experiment, or that of another machine that was quicker."""
        from mlflow.exceptions import MlflowException

        try:
            client.create_experiment(name, artifact_location=self._artifact_location())
        except MlflowException as failure:
            if failure.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.get_experiment_by_name(name)
        assert made is not None  # for the type: it is there, by whoever
        return made

    def _artifact_location(self) -> str | None:
        """Beside a local database; None leaves the choice to a server."""
        if self.is_server or self.uri.startswith("databricks"):
            return None
        folder = self.database.parent if self.database else Path.cwd()
        return (folder / "mlartifacts").as_uri()

    def _knock(self) -> None:
        """Fail within seconds, and readably, where MLflow's client would retry."""
        import requests
        from mlflow import environment_variables as mlflow

        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        insecure = mlflow.MLFLOW_TRACKING_INSECURE_TLS.get()
        try:
            head = functools.partial(
                requests.head,
                self.uri,
                timeout=(KNOCK_SECONDS, mlflow.MLFLOW_HTTP_REQUEST_TIMEOUT.get()),
                verify=not insecure and (mlflow.MLFLOW_TRACKING_SERVER_CERT_PATH.get() or True),
                cert=mlflow.MLFLOW_TRACKING_CLIENT_CERT_PATH.get(),
            )
            within(ANSWER_SECONDS, head)
        except requests.exceptions.SSLError as failure:
            raise ConnectionError(_refused_certificate(str(self), failure)) from failure
        except (requests.RequestException, TimeoutError) as failure:
            raise ConnectionError(f"no answer from {self}") from failure


def _is_address(uri: str) -> bool:
    """Whether it reads as the address of a store, of MLflow's own kinds or of a plugin's."""
    if uri.startswith("databricks"):
        return True
    scheme, found, _ = uri.partition("://")
    if scheme == "sqlite":
        file = uri.removeprefix(SQLITE).partition("?")[0]
        return uri.startswith(SQLITE) and bool(file) and not Path(file).is_dir()
    if scheme in ("http", "https"):
        with contextlib.suppress(ValueError):  # of a port that is no number, or too large
            parts = urlsplit(uri)
            return bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", uri)
        return False
    plugins = (one.name for one in entry_points(group="mlflow.tracking_store"))
    return bool(found) and (scheme.partition("+")[0] in DATABASES or scheme in plugins)


class _InTime:
    """A server's client whose calls end: MLflow limits the wait for each next byte alone."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            seconds = TRANSFER_SECONDS if "artifact" in name else CALL_SECONDS
            return within(seconds, functools.partial(found, *args, **kwargs))

        return call


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives, in a thread that is left behind when it takes longer.

    Raises:
        TimeoutError: it does.
        Whatever `work` raises.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as failure:
            done.set_exception(failure)

    Thread(target=run, daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError as failure:
        raise TimeoutError(str(failure) or f"no answer within {seconds:g} s") from failure


def _refused_certificate(uri: str, failure: Exception) -> str:
    """What OpenSSL says, which stands inside what urllib3 and requests say, and the remedy."""
    found = re.search(r"SSL\w*Error\(\d+, ['\"](?:\[[^]]*\] )?([^(\"']*)", str(failure))
    said = found[1].strip() if found else type(failure).__name__
    if "CERTIFICATE_VERIFY_FAILED" not in str(failure):
        return f"{uri}: {said}; MLFLOW_TRACKING_CLIENT_CERT_PATH names a client's certificate"
    return (
        f"{uri}: {said}; MLFLOW_TRACKING_SERVER_CERT_PATH names a certificate to trust, "
        "MLFLOW_TRACKING_INSECURE_TLS=true trusts any"
    )

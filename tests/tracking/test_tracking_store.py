"""A store's password stays where it was typed, and TLS is what MLflow's variables say."""

import contextlib
import http.server
import json
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow_stores import all_runs, contents, new_store, server_over
from run_folders import make_run_folder, read_record

from rdad.tracking import MlflowTracker, source_tags
from rdad.tracking.store import Store, kept_uri, reason, shown_uri
from rdad.upload import upload

PASSWORD = "s3cretpw"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"http://joe:{PASSWORD}@host:5000/path", "http://host:5000/path"),
        (f"https://joe@:{PASSWORD}@host", "https://host"),
        (f"postgresql+psycopg2://joe:{PASSWORD}/x:y@host/runs", "postgresql+psycopg2://host/runs"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////home/joe@work/mlflow.db", "sqlite:////home/joe@work/mlflow.db"),
        ("databricks", "databricks"),
        (f"GET http://joe:{PASSWORD}@host/a, joe@host", "GET http://host/a, joe@host"),
    ],
)
def test_an_address_is_shown_without_user_and_password(uri: str, shown: str) -> None:
    assert shown_uri(uri) == shown
    assert shown_uri(shown) == shown
    assert reason(ValueError(uri)) == f"{shown} (ValueError)"


def test_all_that_a_tracker_shows_lacks_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    tracker = MlflowTracker(f"http://joe:{PASSWORD}@{host}", system_metrics=False)
    assert tracker.uri == f"http://joe:{PASSWORD}@{host}"
    assert tracker.shown_uri == tracker.page == tracker.ui_command == f"http://{host}"
    with caplog.at_level(logging.DEBUG, logger="rdad"):
        tracker.start(experiment="", run_name="", params={}, tags={})
    assert (
        tracker.error == f"could not start the run: no answer from http://{host} (ConnectionError)"
    )
    assert "the store's failure in full" in caplog.text
    assert PASSWORD not in caplog.text
    assert Store(f"mysql://joe:{PASSWORD}@db/x").ui_command == (
        "mlflow ui --backend-store-uri mysql://db/x"
    )


def test_the_password_is_known_again_where_the_variable_names_the_same_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://joe:{PASSWORD}@host")
    assert kept_uri("http://host") == f"http://joe:{PASSWORD}@host"
    assert kept_uri("http://other") == "http://other"


def test_what_was_typed_is_sent_without_the_password() -> None:
    tags = source_tags([f"tracking.uri=http://joe:{PASSWORD}@host", "mode=add"])
    assert tags["rdad.overrides"] == "tracking.uri=http://host mode=add"


@pytest.mark.timeout(120)
def test_a_server_with_a_password_gets_a_run_and_never_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    with server_over(new_store(tmp_path / "store"), tmp_path / "artifacts") as (address, _):
        uri = address.replace("http://", f"http://joe:{PASSWORD}@")
        make_run_folder(
            run_dir,
            trained=True,
            training="0123",
            tags={"rdad.overrides": f"tracking.uri={uri}"},
            tracking={"uri": uri, "run_id": None, "error": "gone"},  # as version 0.1.0 wrote it
        )
        (run_dir / ".hydra/config.yaml").write_text(yaml.safe_dump({"tracking": {"uri": uri}}))
        (run_dir / "train.log").write_text(f"MLflow store {uri} could not log metrics")
        assert f"sent to {address} as run" in upload(run_dir)
        assert read_record(run_dir)["tracking"]["uri"] == address
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert f"already in {address} as run" in upload(run_dir)
        (run,) = all_runs(address)
        seen = contents(address, run)
    assert yaml.safe_load(seen["artifacts"]["config/config.yaml"])["tracking"]["uri"] == address
    assert PASSWORD not in str(seen)
    assert json.loads(seen["artifacts"]["training/run.json"])["tracking"]["uri"] == address
    sent = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert not [path for path in sent if PASSWORD.encode() in path.read_bytes()]


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of this machine and its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(made, check=True, capture_output=True)
    parts = [(folder / name).read_text() for name in ("key.pem", "certificate.pem")]
    (folder / "both.pem").write_text("".join(parts))
    return folder / "both.pem"


@contextlib.contextmanager
def https_server(certificate: Path, *, ask_clients: bool = False) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if ask_clients:
        context.load_verify_locations(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_unknown_certificate_is_called_one_and_the_variable_is_named(certificate: Path) -> None:
    with https_server(certificate) as address:
        tracker = MlflowTracker(address, system_metrics=False)
        tracker.start(experiment="", run_name="", params={}, tags={})
    assert tracker.error is not None
    assert "self-signed certificate; MLFLOW_TRACKING_SERVER_CERT_PATH names" in tracker.error
    assert "MLFLOW_TRACKING_INSECURE_TLS=true" in tracker.error


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("variable", ["INSECURE_TLS", "SERVER_CERT_PATH"])
def test_a_certificate_that_mlflows_variables_trust_is_taken(
    variable: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"INSECURE_TLS": "true", "SERVER_CERT_PATH": str(certificate)}[variable]
    monkeypatch.setenv(f"MLFLOW_TRACKING_{variable}", value)
    with https_server(certificate) as address:
        assert callable(Store(address).open().create_run)


def test_a_client_shows_its_certificate_where_the_variable_names_one(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
    with https_server(certificate, ask_clients=True) as address:
        with pytest.raises(ConnectionError, match="MLFLOW_TRACKING_CLIENT_CERT_PATH names"):
            Store(address).open()
        monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(certificate))
        assert callable(Store(address).open().create_run)

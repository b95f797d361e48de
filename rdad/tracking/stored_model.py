"""Trained models opened out of MLflow, by run or by name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rdad.runs.record import RECORD_FILE, read_record
from rdad.tracking import store
from rdad.tracking.logged_model import whole_models
from rdad.tracking.model_package import run_inside
from rdad.tracking.open_run import find_run
from rdad.tracking.tags import FOLDER_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from rdad.detector.loaded_run import LoadedRun

RUN_ID = re.compile(r"[0-9a-f]{32}")
SCHEME = "models:/"
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def is_stored(source: str) -> bool:
    """Whether `source` reads as an MLflow run id or as the address of a registered model."""
    return source.startswith(SCHEME) or RUN_ID.fullmatch(source) is not None


def open_stored_model(
    source: str, *, tracking_uri: str | None = None, weights: str | Path | None = None
) -> "LoadedRun":
    """The run behind an MLflow run id, models:/<name>@<alias> or models:/<name>/<version>.

    A run whose folder is on this machine is read from there. All else is read from the model that
    the run logged, and its `run_dir` is then None. Nothing that comes with a model is imported.

    Args:
        tracking_uri: By default MLFLOW_TRACKING_URI, then sqlite:///mlflow.db.
        weights: Where the encoder's weights are now; a logged model needs none.

    Raises:
        FileNotFoundError: the store has no such run or model, or there is no store.
        ValueError: the address cannot be read, or the model is not one that rdad logged.
        ConnectionError: the store does not answer.
    """
    uri = store.resolve_uri(tracking_uri or store.default_uri())
    with answering(uri):
        client = store.open_existing(uri)
        if not source.startswith(SCHEME):
            return _of_run(client, uri, source, weights)
        return _downloaded(uri, source, _location(client, uri, source))


def _of_run(
    client: "MlflowClient", uri: str, run_id: str, weights: str | Path | None
) -> "LoadedRun":
    from rdad.detector.loaded_run import load_run

    run = find_run(client, run_id)
    if run is None:
        raise FileNotFoundError(f"the MLflow store {uri} has no run {run_id}")
    folder = Path(run.data.tags.get(FOLDER_TAG, ""))
    if _is_folder_of(folder, run_id):
        return load_run(folder, weights=weights)
    models = whole_models(client, run)
    if not models:
        raise FileNotFoundError(
            f"the run {run_id} has no model in {uri} (it did not finish, or tracking.log_model was "
            f"false), and its folder {folder} is not on this machine"
        )
    return _downloaded(uri, f"the model of run {run_id}", models[0].artifact_location)


def _is_folder_of(folder: Path, run_id: str) -> bool:
    from rdad.detector.model_file import MODEL_FILE

    if not all((folder / name).is_file() for name in (RECORD_FILE, MODEL_FILE)):
        return False
    return (read_record(folder).get("tracking") or {}).get("run_id") == run_id


def _location(client: "MlflowClient", uri: str, source: str) -> str:
    """Where the files of a registered model are."""
    from mlflow.exceptions import MlflowException

    parts = REGISTERED.fullmatch(source)
    if parts is None:
        raise ValueError(
            f"{source} is no address of a registered model; allowed are models:/<name>@<alias> and "
            "models:/<name>/<version>"
        )
    name, alias, version = parts["name"], parts["alias"], parts["version"]
    try:
        found = (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, version)
        )
    except MlflowException as failure:
        if failure.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise FileNotFoundError(_registered(client, uri, source, name)) from failure
        raise
    return client.get_model_version_download_uri(name, found.version)


def _registered(client: "MlflowClient", uri: str, source: str, name: str) -> str:
    """What the store has in place of `source`."""
    models = {model.name: model for model in client.search_registered_models(max_results=20)}
    if name not in models:
        return f"{uri} has no registered model {name}; it has {', '.join(models) or 'none'}"
    versions = sorted(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))
    aliases = [f"@{alias}" for alias in models[name].aliases]
    return f"{uri} has no {source}; {name} has {', '.join([*aliases, *map(str, versions)])}"


def _downloaded(uri: str, name: str, location: str) -> "LoadedRun":
    from mlflow.artifacts import download_artifacts

    from rdad.detector.loaded_run import load_run

    with TemporaryDirectory(prefix="rdad-model-") as folder:
        where = download_artifacts(location, dst_path=folder, tracking_uri=uri)
        try:
            run_dir = run_inside(Path(where))
        except ValueError as error:
            raise ValueError(f"{name} is {error}") from error
        return replace(load_run(run_dir), run_dir=None)


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """MLflow's and the network's own exceptions become one that names the store."""
    try:
        yield
    except (ValueError, OSError):
        raise
    except Exception as failure:
        if getattr(failure, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise ValueError(f"MLflow refuses it: {store.reason(failure)}") from failure
        raise ConnectionError(f"MLflow store {uri}: {store.reason(failure)}") from failure

"""Trained models in MLflow: registered under a name, and opened by run or by name."""

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rdad.runs.files import MODEL_FILE
from rdad.runs.record import RECORD_FILE, read_record
from rdad.tracking.model_package import (
    DATA,
    ENCODER_TAG,
    model_to_register,
    run_inside,
    whole_models,
)
from rdad.tracking.store import Store, default_uri, reason
from rdad.tracking.tags import FOLDER_TAG
from rdad.tracking.tracker import find_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

    from rdad.detector.loaded_run import LoadedRun
    from rdad.metrics.thresholds import Thresholds

RUN_ID = re.compile(r"[0-9a-f]{32}")
SCHEME = "models:/"
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
RESERVED = "/@:"
"""What separates the parts of an address, as in models:/<name>@<alias>."""


def register(
    run_id: str,
    *,
    name: str,
    alias: str | None = None,
    tracking_uri: str,
    chosen: "Callable[[Thresholds | None], Thresholds | None]" = lambda own: own,
    weights: str | None = None,
) -> int:
    """Make the run's model a version of `name`, and let `alias` point at it.

    A model that is a version already stays that version. One without its encoder, as of a sweep's
    job, gets it here.

    Args:
        chosen: The thresholds to register it with, by its own; with others the run gets a further
            model, unless it has that one.
        weights: Where the encoder's weights are now; for a model that does not hold it.

    Returns:
        The version.

    Raises:
        ValueError: MLflow cannot take the name or the alias, or what `chosen` raises; or the
            encoder's weights are other ones.
        FileNotFoundError: the store has no such run, the run no model, or the encoder's weights
            are gone.
        ConnectionError: the store does not answer.
    """
    for what, given in (("name", name), ("alias", alias)):
        if given is not None and (not given or set(RESERVED) & set(given)):
            raise ValueError(
                f"{what} is {given!r}; it must not be empty, nor hold any of {' '.join(RESERVED)}"
            )
    if {"'", '"'} <= set(name):
        raise ValueError(f"name is {name}; it may hold one kind of quotes, ' or \"")
    with _opened(tracking_uri) as (store, client):
        models = whole_models(client, _run(store, client, run_id))
        if not models:
            raise FileNotFoundError(
                f"the run {run_id} has no model in {store}: it did not finish, or "
                "tracking.log_model was false"
            )
        model, thresholds = _judging(store, client, models[0], chosen, weights)
        version = _version(client, name, model, str(thresholds or "none"))
        if alias is not None:
            client.set_registered_model_alias(name, alias, version)
    return int(version)


def said_of_version(name: str, version: int, *, tracking_uri: str) -> str:
    """The sentence about the thresholds that `register` gave a version as its description."""
    with _opened(tracking_uri) as (_, client):
        return client.get_model_version(name, str(version)).description or "not known"


def _judging(
    store: Store,
    client: "MlflowClient",
    model: "LoggedModel",
    chosen: "Callable[[Thresholds | None], Thresholds | None]",
    weights: str | None,
) -> "tuple[LoggedModel, Thresholds | None]":
    """The run's model, or a whole one that judges by the chosen thresholds, and these."""
    from rdad.metrics.thresholds import Thresholds

    with TemporaryDirectory(prefix="rdad-model-") as folder:
        record = store.download(f"{model.artifact_location}/{DATA}/{RECORD_FILE}", folder)
        plain = read_record(Path(record).parent).get("thresholds")
        own = Thresholds.from_dict(plain) if plain else None
        wanted = chosen(own) or own
        if wanted == own and ENCODER_TAG not in model.tags:
            return model, own
        return model_to_register(store, client, model, wanted, weights), wanted


def _version(client: "MlflowClient", name: str, model: "LoggedModel", said: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as failure:
        if failure.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for known in client.search_model_versions(_named(name)):
        if model.model_id in (known.source or ""):
            return known.version
    source, run_id = model.artifact_location, model.source_run_id
    return client.create_model_version(
        name, source, run_id, model_id=model.model_id, description=said
    ).version


def _named(name: str) -> str:
    """As MLflow searches for it, whose filters know no escape: no name has quotes of both kinds."""
    return f'name = "{name}"' if "'" in name else f"name = '{name}'"


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
        weights: Where the encoder's weights are now; a model that holds its encoder needs none.

    Raises:
        FileNotFoundError: the store has no such run or model, or there is no store.
        ValueError: the address cannot be read, or the model is not one that rdad logged.
        ConnectionError: the store does not answer.
    """
    from rdad.detector.loaded_run import load_run

    with _opened(tracking_uri or default_uri()) as (store, client):
        if source.startswith(SCHEME):
            return _downloaded(store, source, _location(store, client, source), weights)
        run = _run(store, client, source)
        folder = run.data.tags.get(FOLDER_TAG)
        if folder and _is_folder_of(Path(folder), source):
            return load_run(folder, weights=weights)
        models = whole_models(client, run)
        if not models:
            where = f"its folder {folder} is not on this machine" if folder else "names no folder"
            raise FileNotFoundError(
                f"the run {source} has no model in {store} (it did not finish, or "
                f"tracking.log_model was false), and {where}"
            )
        named = f"the model of run {source}"
        return _downloaded(store, named, models[0].artifact_location, weights)


def _run(store: Store, client: "MlflowClient", run_id: str) -> "Run":
    run = find_run(client, run_id)
    if run is None:
        raise FileNotFoundError(f"the MLflow store {store} has no run {run_id}")
    return run


def _is_folder_of(folder: Path, run_id: str) -> bool:
    if not all((folder / name).is_file() for name in (RECORD_FILE, MODEL_FILE)):
        return False
    return (read_record(folder).get("tracking") or {}).get("run_id") == run_id


def _location(store: Store, client: "MlflowClient", source: str) -> str:
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
        if alias:
            version = client.get_model_version_by_alias(name, alias).version
        return client.get_model_version_download_uri(name, version)
    except MlflowException as failure:
        if failure.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise FileNotFoundError(_instead(store, client, source, name)) from failure
        raise


def _instead(store: Store, client: "MlflowClient", source: str, name: str) -> str:
    """What the store has in place of `source`."""
    found = client.search_registered_models(_named(name))
    if not found:
        others = [model.name for model in client.search_registered_models(max_results=20)]
        return f"{store} has no registered model {name}; it has {', '.join(others) or 'none'}"
    versions = sorted(int(one.version) for one in client.search_model_versions(_named(name)))
    aliases = [f"@{alias}" for alias in found[0].aliases]
    return f"{store} has no {source}; {name} has {', '.join([*aliases, *map(str, versions)])}"


def _downloaded(store: Store, name: str, location: str, weights: str | Path | None) -> "LoadedRun":
    from rdad.detector.loaded_run import load_run

    with TemporaryDirectory(prefix="rdad-model-") as folder:
        where = store.download(location, folder)
        try:
            run_dir = run_inside(Path(where))
        except ValueError as error:
            raise ValueError(f"{name} is {error}") from error
        return replace(load_run(run_dir, weights=weights), run_dir=None)


@contextmanager
def _opened(uri: str) -> "Iterator[tuple[Store, MlflowClient]]":
    """A store to read; MLflow's and the network's own exceptions become one that names it."""
    store = Store(uri)
    try:
        yield store, store.open_existing()
    except (ValueError, OSError):
        raise
    except Exception as failure:
        if getattr(failure, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise ValueError(f"MLflow refuses it: {reason(failure)}") from failure
        raise ConnectionError(f"MLflow store {store}: {reason(failure)}") from failure

"""MLflow's model registry: a run's model under a name, with an alias that points at it."""

from typing import TYPE_CHECKING

from rdad.tracking import store
from rdad.tracking.logged_model import whole_models
from rdad.tracking.open_run import find_run
from rdad.tracking.stored_model import answering

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

RESERVED = "/@:"
"""What separates the parts of an address, as in models:/<name>@<alias>."""


def register(run_id: str, *, name: str, alias: str | None = None, tracking_uri: str) -> int:
    """Make the run's model a version of `name`, and let `alias` point at it.

    A model that is a version already stays that version.

    Returns:
        The version.

    Raises:
        ValueError: MLflow cannot take the name or the alias.
        FileNotFoundError: the store has no such run, or the run no model.
        ConnectionError: the store does not answer.
    """
    for what, chosen in (("name", name), ("alias", alias)):
        if chosen is not None and (not chosen or set(RESERVED) & set(chosen)):
            raise ValueError(
                f"{what} is {chosen!r}; it must not be empty, nor hold any of {' '.join(RESERVED)}"
            )
    uri = store.resolve_uri(tracking_uri)
    with answering(uri):
        client = store.open_existing(uri)
        model = _model_of(client, uri, run_id)
        version = _version(client, name, model)
        if alias is not None:
            client.set_registered_model_alias(name, alias, version)
    return int(version)


def _model_of(client: "MlflowClient", uri: str, run_id: str) -> "LoggedModel":
    run = find_run(client, run_id)
    if run is None:
        raise FileNotFoundError(f"the MLflow store {uri} has no run {run_id}")
    models = whole_models(client, run)
    if not models:
        raise FileNotFoundError(
            f"the run {run_id} has no model in {uri}: it did not finish, or tracking.log_model was "
            "false"
        )
    return models[0]


def _version(client: "MlflowClient", name: str, model: "LoggedModel") -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as failure:
        if failure.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for known in client.search_model_versions(f"name = '{name}'"):
        if model.model_id in (known.source or ""):
            return known.version
    source, run_id = model.artifact_location, model.source_run_id
    return client.create_model_version(name, source, run_id, model_id=model.model_id).version

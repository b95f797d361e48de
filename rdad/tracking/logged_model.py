"""The model that a finished run leaves in MLflow, beside its metrics and files."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rdad.tracking.model_package import describe_package, write_package

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

MODEL_NAME = "model"
WHOLE = "READY"


def log_model(client: "MlflowClient", run: "Run", run_dir: Path) -> None:
    """Give the run its model, self-contained; one that is there already is not sent again.

    Raises:
        FileNotFoundError, ValueError: the model cannot be put together; the store is as it was.
        Whatever MLflow, the network or the file system raise when the store fails.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    if whole_models(client, run):
        return
    with TemporaryDirectory(dir=run_dir) as folder:
        package = Path(folder)
        write_package(run_dir, package)
        for unfinished in _models(client, run):  # of an upload that broke off
            client.delete_logged_model(unfinished.model_id)
        run_id, params = run.info.run_id, run.data.params
        model = client.create_logged_model(
            run.info.experiment_id, MODEL_NAME, source_run_id=run_id, params=params
        )
        described = Model(model.artifact_location, run_id, model_id=model.model_id)
        describe_package(package, described)
        client.log_model_artifacts(model.model_id, folder)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, WHOLE)


def whole_models(client: "MlflowClient", run: "Run") -> "list[LoggedModel]":
    """The models that the run logged to the end."""
    return [model for model in _models(client, run) if model.status == WHOLE]


def _models(client: "MlflowClient", run: "Run") -> "list[LoggedModel]":
    experiment, run_id = run.info.experiment_id, run.info.run_id
    return list(client.search_logged_models([experiment], f"source_run_id = '{run_id}'"))

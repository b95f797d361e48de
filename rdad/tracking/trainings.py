"""Finished trainings on a tracking server, for runs on other machines that need the same one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rdad.runs.files import HISTORY_FILE
from rdad.runs.record import RECORD_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRAINING_TAG = "rdad.training"
FOLDER = "training"
FILES = ("model.pt", HISTORY_FILE, RECORD_FILE)


def offer_training(client: "MlflowClient", run_id: str, run_dir: Path) -> None:
    """Copy what a run trained itself, and tag the run with the training's fingerprint."""
    record = json.loads((run_dir / RECORD_FILE).read_text(encoding="utf-8"))
    if not record.get("trained"):
        return
    for name in FILES:
        client.log_artifact(run_id, str(run_dir / name), FOLDER)
    client.set_tag(run_id, TRAINING_TAG, record["training"])


def fetch_training(
    client: "MlflowClient", fingerprint: str, folder: Path
) -> tuple[Path, str] | None:
    """Download a training below `folder`: where it lies now, and the run that offers it."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.`{TRAINING_TAG}` = '{fingerprint}'"
    for run in client.search_runs(experiments, wanted, max_results=1):
        where = client.download_artifacts(run.info.run_id, FOLDER, str(folder))
        return Path(where), run.info.run_id
    return None

"""Which files of a run folder MLflow gets a copy of, and under which names."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILES = (
    "metrics.json",
    "history.csv",
    "scores.csv",
    "calibration.csv",
    "train.log",
    "report.html",
)
FOLDERS = {".hydra": "config", "overlays": "overlays", "curves": "curves"}
"""Folder of the run -> folder of the page. anomaly_maps/ are large and stay behind."""

TABLE = "scores.json"
TABLE_TAG = "mlflow.loggedArtifacts"
"""By this tag MLflow's page knows which artifact to show as a table."""


def upload_files(client: "MlflowClient", run_id: str, run_dir: Path) -> None:
    """Copy what is there; a run that was interrupted lacks some. A second time replaces."""
    for name in FILES:
        if (run_dir / name).is_file():
            client.log_artifact(run_id, str(run_dir / name))
    for folder, shown_as in FOLDERS.items():
        if (run_dir / folder).is_dir():
            client.log_artifacts(run_id, str(run_dir / folder), shown_as)
    if (run_dir / "scores.csv").is_file():
        _upload_table(client, run_id, run_dir / "scores.csv")


def _upload_table(client: "MlflowClient", run_id: str, scores: Path) -> None:
    """As `MlflowClient.log_table` does, which on a second call would append every row again."""
    import pandas as pd

    filled = pd.read_csv(scores).dropna(axis="columns", how="all")  # verdicts need thresholds
    table = filled.to_dict(orient="split", index=False)
    client.log_text(run_id, json.dumps(table), TABLE)
    client.set_tag(run_id, TABLE_TAG, json.dumps([{"path": TABLE, "type": "table"}]))

"""What MLflow gets a copy of: the files of a run folder, and trainings for other machines."""

import json
import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rdad.runs.files import (
    CALIBRATION_FILE,
    CURVES_FOLDER,
    HISTORY_FILE,
    LOG_FILE,
    METRICS_FILE,
    MODEL_FILE,
    OVERLAYS_FOLDER,
    REPORT_FILE,
    SCORES_FILE,
    resolved,
)
from rdad.runs.record import RECORD_FILE, read_record
from rdad.tracking.store import shown_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

FILES = (METRICS_FILE, HISTORY_FILE, SCORES_FILE, CALIBRATION_FILE, LOG_FILE, REPORT_FILE)
CONFIG_FOLDER, CONFIG_SHOWN_AS = ".hydra", "config"
FOLDERS = (OVERLAYS_FOLDER, CURVES_FOLDER)
"""anomaly_maps/ are large and stay behind."""

MAY_QUOTE_THE_STORE = (".yaml", ".json", ".log")

TABLE = "scores.json"
TABLE_TAG = "mlflow.loggedArtifacts"
"""By this tag MLflow's page knows which artifact to show as a table."""
TEXTS = ("image", "defect_type", "part", "category")  # columns, if they are there
FIGURES_FIRST = ("image", "score", "normalised_score", "predicted", "label")

SHEET, SHEET_PICTURES, SHEET_WIDTH = "overlays.jpg", 12, 780  # pixels

LONGEST_DIGEST = 36  # of what MLflow's database takes

TRAINING_TAG = "rdad.training"
TRAINING_FOLDER = "training"
TRAINING_FILES = (MODEL_FILE, HISTORY_FILE, RECORD_FILE)


def send_file(client: "MlflowClient", run_id: str, path: Path, folder: str = "") -> None:
    """Copy a file, without the user and password of a store's address that it may quote."""
    if path.suffix in MAY_QUOTE_THE_STORE:
        text = path.read_text(encoding="utf-8", errors="replace")
        if shown_uri(text) != text:
            client.log_text(run_id, shown_uri(text), (Path(folder) / path.name).as_posix())
            return
    client.log_artifact(run_id, str(path), folder or None)


def send_files(client: "MlflowClient", run_id: str, run_dir: Path) -> None:
    """Copy what is there; a run that was interrupted lacks some. A second time replaces.

    Of a link that leads out of the folder, nothing is sent, and a warning says so.
    """
    for name in FILES:
        if (run_dir / name).is_file() and _is_own(run_dir / name, run_dir):
            send_file(client, run_id, run_dir / name)
            if name == SCORES_FILE:
                _send_table(client, run_id, run_dir / name)
    for path in sorted((run_dir / CONFIG_FOLDER).glob("*.yaml")):
        if _is_own(path, run_dir):
            send_file(client, run_id, path, CONFIG_SHOWN_AS)
    for folder in FOLDERS:
        if (run_dir / folder).is_dir() and _is_own(run_dir / folder, run_dir):
            _send_folder(client, run_id, run_dir / folder)
    overlays = run_dir / OVERLAYS_FOLDER
    if any(overlays.rglob("*.png")) and not leads_out(overlays, run_dir):
        _send_sheet(client, run_id, overlays)


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a link on the way makes of `path`, in `folder`, something outside of it."""
    return not resolved(path).is_relative_to(resolved(folder))


def _is_own(path: Path, folder: Path) -> bool:
    if foreign := leads_out(path, folder):
        log.warning("not sent, for it is a link that leads out of %s: %s", folder, path)
    return not foreign


def _send_folder(client: "MlflowClient", run_id: str, folder: Path) -> None:
    found = sorted(folder.rglob("*"))
    own = [path for path in found if _is_own(path, folder.parent)]
    if own == found:
        client.log_artifacts(run_id, str(folder), folder.name)
        return
    for path in filter(Path.is_file, own):
        place = path.parent.relative_to(folder.parent).as_posix()
        client.log_artifact(run_id, str(path), place)


def _send_table(client: "MlflowClient", run_id: str, scores: Path) -> None:
    """As `MlflowClient.log_table` does, which on a second call would append every row again."""
    import pandas as pd

    texts: dict[Hashable, type] = dict.fromkeys(TEXTS, object)  # 01 is no number, None no gap
    how: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "dtype": texts}
    rows = pd.read_csv(scores, encoding_errors="surrogateescape", **how)
    filled = rows.dropna(axis="columns", how="all")  # verdicts need thresholds

    def place(column: Hashable) -> tuple[bool, int]:
        """Figures first, and last what says the same of every image."""
        place = FIGURES_FIRST.index(column) if column in FIGURES_FIRST else len(FIGURES_FIRST)
        return place > 0 and filled[column].nunique() == 1, place

    shown = filled[sorted(filled, key=place)].astype(object).where(filled.notna(), None)
    table = shown.to_dict(orient="split", index=False)
    client.log_text(run_id, json.dumps(table), TABLE)
    client.set_tag(run_id, TABLE_TAG, json.dumps([{"path": TABLE, "type": "table"}]))


def _send_sheet(client: "MlflowClient", run_id: str, overlays: Path) -> None:
    """Some overlays below each other, of the same test images in each run of a data set.

    MLflow's page that compares runs lays files of one name side by side, but looks into no folder.
    """
    from PIL import Image

    from rdad.results.overlays import by_lot  # which needs numpy

    found = {path.relative_to(overlays).as_posix(): path for path in overlays.rglob("*.png")}
    own = [name for name, path in found.items() if not leads_out(path, overlays.parent)]
    pictures = []
    for name in sorted(by_lot(own)[:SHEET_PICTURES]):
        with Image.open(found[name]) as picture:
            height = round(picture.height * SHEET_WIDTH / picture.width)
            pictures.append(picture.convert("RGB").resize((SHEET_WIDTH, height)))
    sheet = Image.new("RGB", (SHEET_WIDTH, sum(picture.height for picture in pictures)))
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    with TemporaryDirectory(prefix="rdad-sheet-") as folder:
        sheet.save(Path(folder, SHEET), quality=90)
        client.log_artifact(run_id, str(Path(folder, SHEET)))


def tell_data(client: "MlflowClient", run_id: str, record: Mapping[str, Any]) -> None:
    """Name the data set that the run trained on, with its digest; a second time adds nothing."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not (digest := record.get("data_digest")):
        return
    told = {key: value for key, value in record["tags"].items() if key.startswith("mlflow.source")}
    names = (record["params"].get(key) for key in ("dataset", "category"))
    data = Dataset(
        name=" ".join(str(name) for name in names if name),
        digest=str(digest)[:LONGEST_DIGEST],
        source_type="code",
        source=json.dumps({"tags": told}),
        profile=json.dumps(record.get("images")),
    )
    as_training = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, [DatasetInput(data, [as_training])])


def offer_training(client: "MlflowClient", run_id: str, run_dir: Path) -> None:
    """Copy what a run trained itself, and tag the run with the training's fingerprint."""
    record = read_record(run_dir)
    if record.get("trained"):
        paths = [run_dir / name for name in TRAINING_FILES]
        if not all(_is_own(path, run_dir) for path in paths):
            return
        for path in paths:
            send_file(client, run_id, path, TRAINING_FOLDER)
        client.set_tag(run_id, TRAINING_TAG, record["training"])


def fetch_training(
    client: "MlflowClient", fingerprint: str, folder: Path
) -> tuple[Path, str] | None:
    """Download a training below `folder`: where it lies now, and the run that offers it."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.`{TRAINING_TAG}` = '{fingerprint}'"
    for run in client.search_runs(experiments, wanted, max_results=1):
        where = client.download_artifacts(run.info.run_id, TRAINING_FOLDER, str(folder))
        return Path(where), run.info.run_id
    return None

"""What version 0.1.0 wrote stays readable: a run, a model file, a sweep, a model out of MLflow."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from mlflow import MlflowClient
from mlflow_stores import new_store
from PIL import Image

from rdad import compare_runs, load_config, load_run, open_model, run
from rdad.compare import main as compare
from rdad.evaluate import main as evaluate
from rdad.experiment.resume import replayed
from rdad.export.__main__ import COMMAND as EXPORT
from rdad.export.__main__ import export
from rdad.predict.__main__ import COMMAND as PREDICT
from rdad.predict.__main__ import predict
from rdad.served_model import _load_pyfunc
from rdad.upload import main as upload

WRITTEN = Path(__file__).parent / "data" / "version_0_1_0"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in, from where its relative paths lead to its images."""
    copy = tmp_path / "old"
    shutil.copytree(WRITTEN, copy)
    monkeypatch.chdir(copy)
    return copy


def scores(folder: Path) -> dict[str, float]:
    with (folder / "scores.csv").open(newline="") as file:
        return {row["image"]: float(row["score"]) for row in csv.DictReader(file)}


def test_a_run_is_evaluated_to_its_own_scores(place: Path) -> None:
    assert evaluate(["run", "output=again"]) == 0
    old, new = scores(place / "run"), scores(place / "again")
    assert old.keys() == new.keys()
    assert list(new.values()) == pytest.approx(list(old.values()), rel=1e-4)
    old, new = (json.loads((place / one / "metrics.json").read_text()) for one in ("run", "again"))
    assert new.pop("test/seg_f1") > 0  # of a later version, as are the next
    assert new.pop("test/region_recall") > 0 and new.pop("test/false_regions") >= 0
    assert new == pytest.approx(old, rel=1e-3)


def test_its_maps_and_verdicts_are_predicted(place: Path) -> None:
    assert PREDICT.main(predict, ["run", "parts/bad", "output=found", "maps=true"]) == 0
    with (place / "found" / "results.csv").open(newline="") as file:
        found = {row["image"]: row for row in csv.DictReader(file)}
    for image, score in scores(place / "run").items():
        if image in found:
            assert float(found[image]["score"]) == pytest.approx(score, rel=1e-4)
    old = tifffile.imread(place / "run/anomaly_maps/part/test/spot/001.tiff")
    new = tifffile.imread(place / "found" / found["parts/bad/spot/001.png"]["anomaly_map"])
    np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-5)


def test_its_model_file_alone_predicts(place: Path) -> None:
    alone = open_model(place / "run" / "model.pt").predict("parts/bad/spot/001.png")
    assert alone.score == load_run(place / "run").predict("parts/bad/spot/001.png").score
    assert alone.label in ("good", "defective")


def test_it_is_exported(place: Path) -> None:
    assert EXPORT.main(export, ["run", "format=torch", "calls=0", "compare=2"]) == 0
    assert (place / "run" / "exports" / "torch-fp32" / "model.pt2").is_file()


def test_a_sweep_is_compared(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(["sweep"]) == 0
    assert "multiply" in capsys.readouterr().out
    assert compare_runs(place / "sweep")["image_auroc"].isna().tolist() == [False, False]


def test_runs_and_sweeps_are_resumed(place: Path) -> None:
    again = replayed(["resume=run"])
    cfg = load_config(*(one for one in again if not one.startswith("hydra.")))
    before = (place / "run" / "run.json").read_bytes()
    assert run(cfg, place / "run").metrics == load_run(place / "run").metrics
    assert (place / "run" / "run.json").read_bytes() == before  # it was finished
    assert "mode=add,multiply" in replayed(["resume_sweep=sweep"])


def test_a_run_is_uploaded(place: Path) -> None:
    uri = new_store(place)
    assert upload(["run", "--uri", uri]) == 0
    client = MlflowClient(tracking_uri=uri)
    (sent,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert sent.data.params["backbone"] == "efficientnet_lite0"
    metrics = json.loads((place / "run" / "metrics.json").read_text())
    assert sent.data.metrics["test/image_auroc"] == metrics["test/image_auroc"]


def test_a_logged_model_is_served(place: Path) -> None:
    import mlflow.pyfunc
    import pandas as pd

    content = io.BytesIO()
    Image.open("parts/bad/spot/001.png").save(content, "PNG")
    table = pd.DataFrame({"image": [content.getvalue()]})
    expected = load_run(place / "run").predict("parts/bad/spot/001.png").score
    for model in (
        mlflow.pyfunc.load_model(str(place / "mlflow_model")),
        _load_pyfunc(str(place / "mlflow_model" / "data")),
    ):
        assert model.predict(table)["score"].tolist() == [pytest.approx(expected, rel=1e-6)]

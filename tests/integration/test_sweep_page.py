"""The page that a sweep prints, in a real browser: which setting is best."""

import re
from pathlib import Path

import commands
import pytest
from mlflow_page import chromium, empty_page, mlflow_ui, running_browser
from mlflow_stores import new_store

from rdad import compare_runs

SWEEP = [
    "model.sigma=2,8",
    "backbone=resnet18",
    "model.weights=null",
    "layers=layer1",
    "dataset.image_size=[64,64]",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "artifacts.overlays=0",
    "artifacts.maps=false",
    "tracking.system_metrics=false",
    "hydra.sweep.dir=sweep",
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which a sweep of two jobs was run from an empty store, and what it printed."""
    chromium()
    folder = tmp_path_factory.mktemp("page")
    new_store(folder)
    done = commands.run("-m", "rdad.train", "-m", *SWEEP, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_printed_page_shows_each_job_what_differs_and_its_image_auroc(
    sweep: tuple[Path, str], tmp_path: Path
) -> None:
    folder, printed = sweep
    frame = compare_runs(folder / "sweep").sort_values("image_auroc", ascending=False)
    page_path = re.findall(r"http://127\.0\.0\.1:5000(/#\S*compareRunsMode=CHART\S*)", printed)[-1]
    store, log = f"sqlite:///{folder}/mlflow.db", tmp_path / "ui.log"
    names = [f"sigma {sigma:g} · brick resnet18 add layer1" for sigma in frame["sigma"]]
    with (
        mlflow_ui(store, log) as address,
        running_browser() as browser,
        empty_page(browser) as page,
    ):
        page.goto(address + page_path, wait_until="commit")
        card = page.get_by_test_id("experiment-view-compare-runs-card")
        card = card.filter(has=page.get_by_text("test/image_auroc", exact=True))
        for name in names:
            card.get_by_text(name).first.wait_for()
        page.get_by_text("2 matching runs").wait_for()
        listed = page.get_by_role("link", name="resnet18").all_inner_texts()
        bars = card.inner_text()
    assert listed == names  # the best first
    for value in frame["image_auroc"]:
        assert f"{value:.2f}" in bars

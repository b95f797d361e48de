"""comparison.html: what it holds, and in a real browser without a network."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow_page import offline_page, running_browser
from report_folders import THRESHOLDS, held, make_samples, write_report
from sweep_folders import make_job

from rdad.sweep import comparison_page
from rdad.sweep.comparison_page import write_comparison_page
from rdad.sweep.jobs import read_jobs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"
TYPES = ["good", "good", "bent", HOSTILE]
SCORES = {"add": [0.1, 0.2, 0.8, 0.9], "multiply": [0.1, 0.7, 0.4, 0.9]}  # 001 and 002 disagree
PLOTS = b"\x89PNG"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modes on the same four images, each image a file of its own."""
    tmp_path = tmp_path_factory.mktemp("page")
    samples = make_samples(tmp_path / "data", TYPES)
    for number, sample in enumerate(samples):
        path = tmp_path / "data" / f"{number:03}.png"
        path.write_bytes(sample.image.read_bytes())
        object.__setattr__(sample, "image", path)
    for mode, value in (("add", 0.8), ("multiply", 0.9)):
        folder = tmp_path / "sweep" / mode
        make_job(tmp_path / "sweep", mode, {"image_auroc": value, "aupro": None}, mode=mode)
        write_report(folder, samples, SCORES[mode], thresholds=THRESHOLDS)
    return tmp_path / "sweep"


@pytest.fixture
def page_file(sweep: Path, tmp_path: Path) -> Path:
    path = tmp_path / "comparison.html"
    write_comparison_page(path, read_jobs([sweep]), plots=PLOTS)
    return path


def images(page_file: Path) -> list[dict[str, Any]]:
    return held(page_file.read_text(), "images")


def test_the_images_on_which_settings_disagree_stand_first_with_each_ones_verdict(
    page_file: Path,
) -> None:
    facts = held(page_file.read_text(), "contents")
    assert facts["settings"] == ["multiply", "add"]  # the best first
    assert facts["rows"] == [["multiply", 0.9, None], ["add", 0.8, None]]
    found = images(page_file)
    assert [Path(one["path"]).stem for one in found] == ["001", "002", "000", "003"]
    cells = found[0]["cells"]
    assert [(cells[key]["rank"], cells[key]["called"]) for key in ("0", "1")] == [
        (2, True),
        (3, False),
    ]
    assert len({one["photograph"] for one in found}) == 1 and all(
        "heat" in c for c in cells.values()
    )


def test_of_two_runs_of_one_setting_the_later_ones_scores_are_shown(
    sweep: Path, tmp_path: Path
) -> None:
    for name, mode, value in (("a", "multiply", 0.9), ("b", "add", 0.7)):
        shutil.copytree(sweep / mode, tmp_path / name)
        make_job(tmp_path / "made", name, {"image_auroc": value})
        for file in ("run.json", "metrics.json", ".hydra/overrides.yaml"):
            shutil.copy(tmp_path / "made" / name / file, tmp_path / name / file)
    shutil.rmtree(tmp_path / "made")
    page_file = tmp_path / "comparison.html"
    write_comparison_page(page_file, read_jobs([tmp_path]), plots=PLOTS)
    shown = {Path(one["path"]).stem: one["cells"]["0"]["score"] for one in images(page_file)}
    assert shown == {f"{number:03}": score for number, score in enumerate(SCORES["add"])}


def test_the_page_is_bounded(sweep: Path, page_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = read_jobs([sweep])
    monkeypatch.setattr(comparison_page, "MOST_IMAGES", 3)
    monkeypatch.setattr(comparison_page, "MOST_SETTINGS", 1)
    write_comparison_page(page_file, jobs, plots=PLOTS)
    assert len(images(page_file)) == 3
    assert {tuple(one["cells"]) for one in images(page_file)} == {("0",)}
    size = len(json.dumps(images(page_file)[0]))
    monkeypatch.setattr(comparison_page, "MOST_CHARACTERS", 2 * size)
    write_comparison_page(page_file, jobs, plots=PLOTS)
    assert len(images(page_file)) == 2


@pytest.mark.parametrize("content", ['{"path": 1}\n{"', '{"path": "x"', "", '{"photograph": 3}'])
def test_a_report_that_is_broken_or_gone_costs_its_pictures_and_nothing_else(
    sweep: Path, tmp_path: Path, content: str
) -> None:
    shutil.copytree(sweep, tmp_path / "sweep")
    for mode in SCORES:
        report = tmp_path / "sweep" / mode / "report.html"
        report.write_text(content) if content else report.unlink()
    write_comparison_page(tmp_path / "x.html", read_jobs([tmp_path / "sweep"]), plots=PLOTS)
    found = images(tmp_path / "x.html")
    assert len(found) == 4 and not any("photograph" in one for one in found)


def test_scores_whose_last_row_is_cut_off_cost_their_images_and_nothing_else(
    sweep: Path, tmp_path: Path
) -> None:
    shutil.copytree(sweep, tmp_path / "sweep")
    scores = tmp_path / "sweep" / "add" / "scores.csv"
    scores.write_text(scores.read_text() + "004.png,test,go")
    write_comparison_page(tmp_path / "x.html", read_jobs([tmp_path / "sweep"]), plots=PLOTS)
    assert [list(one["cells"]) for one in images(tmp_path / "x.html")] == [["0"]] * 4


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with running_browser() as found:
        yield found


@pytest.fixture
def opened(browser: "Browser", page_file: Path) -> Iterator["Page"]:
    """The page in a browser, in which nothing may go wrong and nothing is fetched."""
    with offline_page(browser) as (page, troubles):
        page.goto(page_file.as_uri())
        page.locator("#same img.heat").first.wait_for()
        yield page
    assert [one for one in troubles if "plots" not in one] == []


def test_the_same_image_stands_side_by_side_and_is_filtered_sorted_and_enlarged(
    opened: "Page",
) -> None:
    page = opened
    names = page.locator("#same tbody th")
    assert page.locator("#answer").inner_text().startswith("best: multiply with image AUROC 0.9000")
    assert [text.split()[-1] for text in names.all_inner_texts()] == [
        *("001.png", "002.png", "000.png", "003.png")
    ]
    assert page.locator("#same thead th").all_inner_texts() == ["image", "multiply", "add"]
    assert page.locator("#same tbody tr").first.locator("td[data-right=false]").count() == 1

    page.get_by_label("Show").select_option("differ")
    assert page.locator("#shown").inner_text() == "2 of 4 images shown"
    page.get_by_label("Show").select_option("all")
    page.get_by_label("Sort").select_option("name")
    assert names.first.inner_text().endswith("000.png")
    page.get_by_label("Heat map").uncheck()
    assert not page.locator("#same img.heat").first.is_visible()
    assert page.locator("#same img.photograph").first.is_visible()

    page.get_by_label("002.png, multiply").click()
    dialog = page.get_by_role("dialog")
    facts = dialog.locator("dl").inner_text()
    assert "called good" in facts and "3 of 4" not in facts.splitlines()[0]
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "bent/002.png · add"
    assert "called defective" in dialog.locator("dl").inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()

    first = page.locator("#jobs tbody th").first
    assert first.inner_text() == "multiply"
    page.get_by_role("button", name="image AUROC").click()
    assert first.inner_text() == "add"

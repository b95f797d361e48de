"""report.html in a real browser: opened from the disk, without a network."""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mlflow_page import offline_page, running_browser
from PIL import Image
from report_folders import THRESHOLDS, make_samples, write_report

from rdad.metrics.thresholds import Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"
TYPES = ["good"] * 6 + ["bent"] * 4 + [HOSTILE] * 2
SCORES = [0.1, 0.2, 0.3, 0.4, 0.45, 0.7, 0.35, 0.55, 0.8, 0.9, 0.25, 0.6]
THOUSAND = 1000


def counts(scores: list[float], threshold: float) -> dict[str, int]:
    """The four outcomes, worked out image by image."""
    found = {"found": 0, "missed": 0, "alarm": 0, "clear": 0}
    for kind, score in zip(TYPES, scores, strict=True):
        called = score > threshold
        if kind == "good":
            found["alarm" if called else "clear"] += 1
        else:
            found["found" if called else "missed"] += 1
    return found


def shown_counts(page: "Page") -> dict[str, int]:
    names = ("found", "missed", "alarm", "clear")
    return {name: int(page.locator(f"#{name}").inner_text()) for name in names}


def names(page: "Page") -> list[str]:
    texts = page.locator(".card .name").all_text_contents()  # also those far from the eye
    return [text.rsplit("/", 1)[1] for text in texts]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with running_browser() as found:
        yield found


@pytest.fixture
def opened(browser: "Browser") -> "Iterator[Page]":
    """A page of a browser without a network, in which nothing may go wrong."""
    with offline_page(browser) as (page, troubles):
        yield page
    assert troubles == []


@pytest.fixture
def report(tmp_path: Path) -> Path:
    samples = make_samples(tmp_path / "data", TYPES)
    return write_report(tmp_path / "run", samples, SCORES, thresholds=THRESHOLDS)


def test_page_is_filtered_sorted_judged_and_looked_at_closely(opened: "Page", report: Path):
    page = opened
    page.goto(report.as_uri())
    page.locator(".card img.heat").first.wait_for()
    assert page.title() == "part - test report"

    assert shown_counts(page) == counts(SCORES, 0.5)  # begins at the stored threshold
    assert page.locator("#recall").inner_text() == "66.7 %"
    assert page.locator("#alarms").inner_text() == "16.7 %"
    by_score = sorted(range(12), key=lambda number: -SCORES[number])
    assert names(page) == [f"{number:03}" for number in by_score]

    page.get_by_label("Wrong").check()
    assert sorted(names(page)) == ["005", "006", "010"]
    assert page.locator("#shown").inner_text() == "3 of 12 images shown"
    page.get_by_label("False alarms", exact=False).check()
    assert names(page) == ["005"]
    page.get_by_label("All").check()

    page.get_by_label("good", exact=True).uncheck()
    page.get_by_label(HOSTILE).uncheck()
    assert sorted(names(page)) == ["006", "007", "008", "009"]
    page.get_by_label("good", exact=True).check()
    page.get_by_label(HOSTILE).check()
    page.get_by_label("Sort").select_option("low")
    assert names(page) == [f"{number:03}" for number in reversed(by_score)]

    for threshold in (0.1, 0.35, 0.62, 0.9, 2.0):
        page.get_by_label("Raw score above").fill(str(threshold))
        assert shown_counts(page) == counts(SCORES, threshold)
        wrong = counts(SCORES, threshold)["missed"] + counts(SCORES, threshold)["alarm"]
        marked = page.locator(".card[data-outcome=missed], .card[data-outcome=alarm]")
        assert marked.count() == wrong


def test_slider_moves_line_counts_and_marks_by_the_keyboard(opened: "Page", report: Path):
    page = opened
    page.goto(report.as_uri())
    slider, line = page.get_by_label("Threshold, raw anomaly score"), page.locator("g.threshold")
    before = line.get_attribute("transform")
    slider.focus()
    page.keyboard.press("Home")
    assert line.get_attribute("transform") != before
    assert shown_counts(page) == counts(SCORES, -1)
    page.keyboard.press("End")
    assert shown_counts(page) == counts(SCORES, 1)
    page.locator("#reset").click()
    assert line.get_attribute("transform") == before
    assert shown_counts(page) == counts(SCORES, 0.5)


def test_card_opens_a_larger_view_that_steps_and_closes_by_keyboard(opened: "Page", report: Path):
    page = opened
    page.goto(report.as_uri())
    page.get_by_label("Wrong").check()
    page.locator(".card").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("img.heat").wait_for()
    assert dialog.locator("h2").inner_text() == "good/005"
    facts = dialog.locator("dl").inner_text()
    assert dialog.locator(".scale").inner_text().split() == ["0.1", "0.9"]
    assert "false alarm" in facts and "0.7000" in facts and "3 of 12" in facts
    assert str(report.parent.parent / "data/image.png") in facts
    predicted, true = dialog.locator("svg.predicted"), dialog.locator("svg.true")
    assert predicted.is_visible() and not true.is_visible()
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "bent/006"
    assert true.is_visible()
    dialog.get_by_label("True defect").uncheck()
    assert not true.is_visible()
    dialog.get_by_label("Predicted, above 0.4").uncheck()
    page.get_by_label("Previous image").click()
    assert not predicted.is_visible()
    page.get_by_label("Next image").click()
    dialog.get_by_label("Image", exact=True).check()
    assert not dialog.locator("img.heat").is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    # a dialog's close event, after which the focus moves, comes a moment after Escape
    page.locator(":focus", has_text="bent/006").wait_for(timeout=5000)


def test_a_picture_is_brought_nearer_where_the_pointer_is(opened: "Page", report: Path):
    page = opened
    page.goto(report.as_uri())
    page.locator(".card").first.click()
    frame, picture = page.locator("#detail-picture"), page.locator("#detail-picture .picture")
    whole, box = picture.bounding_box(), frame.bounding_box()
    assert whole and box
    x, y = box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.dblclick(x, y)
    near = picture.bounding_box()
    assert near and near["width"] == pytest.approx(4 * whole["width"], rel=0.01)
    assert (x - near["x"]) / near["width"] == pytest.approx(
        (x - whole["x"]) / whole["width"], abs=0.01
    )
    assert page.locator("#zoom").inner_text() == "400 %"
    page.keyboard.press("0")
    assert picture.bounding_box() == whole
    page.get_by_label("Zoom in").click()
    assert page.locator("#zoom").inner_text() == "150 %"


def test_images_are_found_by_the_words_of_their_names(opened: "Page", report: Path):
    opened.goto(report.as_uri())
    opened.get_by_label("File name").fill("BENT 00")
    assert sorted(names(opened)) == ["006", "007", "008", "009"]
    opened.get_by_label("Wrong").check()
    assert names(opened) == ["006"]
    opened.get_by_label("File name").fill("no such")
    assert names(opened) == []


def test_the_threshold_and_the_wrong_images_are_copied_to_be_used(opened: "Page", report: Path):
    page = opened
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(report.as_uri())
    page.get_by_label("Raw score above").fill("0.62")
    command = "python -m rdad.predict 'outputs/a part' IMAGES threshold=0.62"
    assert page.get_by_label("Judge new images so").input_value() == command
    page.get_by_role("button", name="Copy", exact=True).click()
    page.locator("#copy-command", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == command
    wrong = sum(counts(SCORES, 0.62)[name] for name in ("missed", "alarm"))
    page.get_by_role("button", name=f"Copy the list of {wrong} wrong images").click()
    page.locator("#copy-wrong", has_text="Copied").wait_for()
    listed = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert listed == [str(report.parent.parent / "data/image.png")] * wrong


def test_a_button_that_copies_has_its_own_name_again_however_often_it_is_pressed(
    opened: "Page", report: Path
):
    page, copy = opened, opened.locator("#copy-wrong")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.clock.install()
    page.goto(report.as_uri())
    name = copy.inner_text()
    copy.click()
    page.locator("#copy-wrong", has_text="Copied").wait_for()
    copy.click()
    page.clock.run_for(4000)
    assert copy.inner_text() == name
    copy.click()
    page.locator("#copy-wrong", has_text="Copied").wait_for()
    page.get_by_label("Raw score above").fill("0.62")
    wrong = copy.inner_text()
    page.clock.run_for(4000)
    assert copy.inner_text() == wrong != name


def test_the_false_alarms_are_copied_as_the_command_that_trains_on(opened: "Page", report: Path):
    page = opened
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(report.as_uri())
    page.get_by_label("Raw score above").fill("0.62")
    alarms = counts(SCORES, 0.62)["alarm"]
    button = page.get_by_role("button", name=f"Copy the command that trains on with {alarms} false")
    button.click()
    page.locator("#copy-again", has_text="Copied").wait_for()
    listing, command = page.evaluate("navigator.clipboard.readText()").splitlines()
    images = alarms * f" '{report.parent.parent}/data/image.png'"
    assert listing == f"printf '%s\\n'{images} > 'outputs/a part/list.txt'"
    assert command == "python -m rdad.train again"
    page.get_by_label("Raw score above").fill("99")
    assert page.locator("#copy-again").is_hidden()


def test_a_threshold_that_was_not_moved_is_typed_as_it_is_in_float32(
    opened: "Page", tmp_path: Path
):
    exact = float(np.float32(1.2721312))
    stored = replace(THRESHOLDS, image=Threshold(exact, 4.0))
    samples = make_samples(tmp_path / "data", TYPES)
    opened.goto(write_report(tmp_path, samples, SCORES, thresholds=stored).as_uri())
    said = opened.locator("#command").input_value().rpartition("threshold=")[2]
    assert float(np.float32(said)) == exact


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (390, 844)])
def test_no_word_is_cut_and_the_threshold_stands_above_the_curves(
    opened: "Page", report: Path, size: tuple[int, int]
):
    page = opened
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(report.as_uri())
    page.locator(".card img.heat").first.wait_for(state="attached")
    wide = "(found) => found.every((one) => one.scrollWidth <= one.clientWidth + 1)"
    assert page.locator(".card, .card .line, .panel, .toolbar, body").evaluate_all(wide)
    panel, curves = page.locator(".panel").bounding_box(), page.locator("#curves").bounding_box()
    assert panel and curves and panel["y"] + panel["height"] <= curves["y"]
    assert panel["y"] < size[1] / 1.5, "the threshold is not on the first screen"


def test_without_a_stored_threshold_the_line_starts_in_the_middle_and_says_so(
    opened: "Page", tmp_path: Path
):
    samples = make_samples(tmp_path / "data", TYPES)
    opened.goto(write_report(tmp_path, samples, SCORES).as_uri())
    assert "No threshold is stored with this run" in opened.locator("#origin").inner_text()
    assert float(opened.get_by_label("Raw score above").input_value()) == 0.5


def test_where_categories_have_their_own_thresholds_no_number_stands_for_all(
    opened: "Page", tmp_path: Path
):
    own = replace(THRESHOLDS, by_category={"nut": THRESHOLDS})
    samples = make_samples(tmp_path / "data", TYPES)
    opened.goto(write_report(tmp_path, samples, SCORES, thresholds=own).as_uri())
    views = opened.locator(".views").first
    assert "Predicted, above its category's threshold" in views.inner_text()
    assert opened.locator(".colours .mark").count() == 0


@pytest.mark.parametrize("types", [[], ["good"], ["bent"]])
def test_page_of_no_images_or_of_one_class_says_what_is_undefined(
    opened: "Page", tmp_path: Path, types: list[str]
):
    samples = make_samples(tmp_path / "data", types)
    opened.goto(write_report(tmp_path, samples, [0.3] * len(types)).as_uri())
    opened.locator("#shown").filter(has_text="image").wait_for()
    for kind, rate in (("bent", "#recall"), ("good", "#alarms")):
        assert (opened.locator(rate).inner_text() == "–") == (kind not in types)


def test_page_works_in_the_frame_in_which_mlflow_shows_it(opened: "Page", report: Path):
    opened.evaluate(
        """(page) => {
            const frame = document.createElement("iframe");
            frame.setAttribute("sandbox", "allow-scripts");
            frame.width = 1200;
            frame.height = 2000;
            frame.src = URL.createObjectURL(new Blob([page], { type: "text/html" }));
            document.body.append(frame);
        }""",
        report.read_text(),
    )
    frame = opened.frame_locator("iframe")
    frame.locator(".card img.heat").first.wait_for(state="attached")
    assert frame.locator("#found").inner_text() == str(counts(SCORES, 0.5)["found"])


@pytest.fixture
def thousand(tmp_path: Path) -> Path:
    """A report of a thousand images as hard to compress as grass."""
    from skimage import data

    grass = Image.fromarray(data.grass()).convert("RGB").crop((0, 0, 256, 256))
    grass.save(tmp_path / "grass.bmp")
    pair = make_samples(tmp_path / "data", ["good", "bent"])
    samples = [
        replace(pair[number % 2], image=tmp_path / "grass.bmp", name=f"{number:04}")
        for number in range(THOUSAND)
    ]
    random = np.random.default_rng(0)
    scores = (random.random(THOUSAND) + [0.5 * sample.label for sample in samples]).tolist()
    return write_report(tmp_path / "run", samples, scores)


def test_a_thousand_images_stay_small_and_quick(opened: "Page", thousand: Path):
    assert thousand.stat().st_size < 20e6
    page = opened
    page.goto(thousand.as_uri())
    page.locator(".card img.heat").first.wait_for()
    assert page.locator("#shown").inner_text() == "1000 of 1000 images shown"
    assert page.locator(".card img.heat").count() < 300, "pictures far below are decoded"
    page.get_by_label("Wrong").check()
    moves = page.evaluate(
        """() => Array.from({ length: 11 }, (_, i) => {
            const slider = document.getElementById("slider");
            const start = performance.now();
            slider.value = 50 + 80 * i;
            slider.dispatchEvent(new Event("input"));
            document.body.getBoundingClientRect(); // has the page laid out
            return performance.now() - start;
        })"""
    )
    assert statistics.median(moves) < 100
    page.get_by_label("All").check()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.locator(".card").nth(150).wait_for(state="attached")

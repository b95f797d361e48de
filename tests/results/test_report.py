"""report.html as a file: what it holds, and what a file's name cannot make of it."""

import base64
import hashlib
import io
import logging
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from report_folders import THRESHOLDS, held, make_samples, subject, write_report

from rdad.data.samples import Sample
from rdad.results.gathered import Gathered
from rdad.results.pictures import heat_map, heat_opacity
from rdad.results.report.contents import contents
from rdad.results.report.page import PLACE, write_page
from rdad.results.report.pictures import draw_heat, outline_path, photograph_side, region_path
from rdad.results.spool import Spool
from rdad.runs.files import append_history, write_metrics

TYPES = ["good", "bent", "good", "cut"]
SCORES = [0.2, 0.9, 0.6, 0.4]


class Tags(HTMLParser):
    """The tags of a page in their order, and its title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.title = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "title":
            self.title += data


def test_page_holds_every_image_with_its_score_and_pictures(tmp_path: Path):
    samples = make_samples(tmp_path / "data", TYPES)
    page = write_report(tmp_path / "run", samples, SCORES).read_text()
    images = held(page, "images")
    assert [image["score"] for image in images] == SCORES
    assert [image["label"] for image in images] == [0, 1, 0, 1]
    assert [bool(image["outline"]) for image in images] == [False, True, False, True]
    assert [image["path"] for image in images] == [str(sample.image) for sample in samples]
    for image in images:
        assert (image["width"], image["height"]) == (60, 40)
        with Image.open(io.BytesIO(base64.b64decode(image["photograph"]))) as photograph:
            assert photograph.format == "JPEG" and photograph.size == (60, 40)
        with Image.open(io.BytesIO(base64.b64decode(image["heat"]))) as heat:
            assert heat.format == "WEBP" and heat.mode == "RGBA"


def test_page_holds_metrics_losses_curves_and_thresholds_of_the_run_folder(tmp_path: Path):
    samples = make_samples(tmp_path / "data", TYPES)
    write_metrics(tmp_path, {"test/image_auroc": 0.75, "test/aupro": float("nan")})
    for epoch in (1, 2):
        append_history(tmp_path, {"epoch": epoch, "train/loss": 1 / epoch, "other": 3.0})
    page = write_report(tmp_path, samples, SCORES, thresholds=THRESHOLDS).read_text()
    run = held(page, "contents")
    assert run["metrics"] == {"image_auroc": 0.75, "aupro": None}
    assert run["loss"] == {"train/loss": [[1, 1.0], [2, 0.5]]}
    assert set(run["curves"]) == {"image_roc", "pixel_roc", "pro"}
    assert run["curves"]["image_roc"][0] == [0, 0] and run["curves"]["image_roc"][-1] == [1, 1]
    assert run["command"] == "python -m rdad.predict 'outputs/a part' IMAGES"
    predicted = [bool(image["predicted"]) for image in held(page, "images")]
    assert predicted == [False, True, True, True], "0.4 in float32 is above the threshold 0.4"
    assert run["thresholds"]["image"] == 0.5 and run["thresholds"]["guaranteed"]
    expected = THRESHOLDS.image.normalise(SCORES).tolist()
    assert [image["normalised"] for image in held(page, "images")] == expected
    assert run["limits"] == pytest.approx([0.1, 0.9])


def test_where_categories_have_their_own_thresholds_no_one_is_said_of_pixels(tmp_path: Path):
    own = replace(THRESHOLDS, by_category={"part": THRESHOLDS})
    for thresholds, pixel in ((THRESHOLDS, 0.4), (own, None)):
        gathered = Gathered(Spool(tmp_path), thresholds=thresholds)
        assert contents(tmp_path, subject(), gathered)["thresholds"]["pixel"] == pixel


def test_folder_without_metrics_and_history_has_a_page_without_them(tmp_path: Path):
    facts = contents(tmp_path, subject(), Gathered(Spool(tmp_path)))
    assert (facts["metrics"], facts["loss"], facts["curves"]) == ({}, {}, {})
    assert facts["limits"] == [None, None] and facts["thresholds"] is None


def test_test_without_images_has_a_page_without_images(tmp_path: Path):
    assert held(write_report(tmp_path, [], []).read_text(), "images") == []


def test_names_become_neither_tags_nor_code_nor_places_of_the_template(tmp_path: Path):
    hostile = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{script}}"]
    plain = make_samples(tmp_path / "data", TYPES)
    named = [
        Sample(sample.image, sample.label, name if sample.label else "good", sample.mask, name)
        for sample, name in zip(plain, [*hostile, "ä\udcff'\"&amp;"], strict=True)
    ]
    harmless = write_report(tmp_path / "harmless", plain, SCORES).read_text()
    path = write_report(tmp_path / "hostile", named, SCORES, title="<b>&{{style}}\udcff")
    page = path.read_text(encoding="ascii")
    assert Tags(page).tags == Tags(harmless).tags
    assert Tags(page).title.startswith("<b>&{{style}}")
    assert [image["name"] for image in held(page, "images")] == [one.name for one in named]
    assert held(page, "contents")["title"] == "<b>&{{style}}\udcff"


def test_page_loads_nothing_and_runs_no_script_but_its_own(tmp_path: Path):
    samples = make_samples(tmp_path / "data", TYPES)
    page = write_report(tmp_path / "run", samples, SCORES).read_text()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name, which is not fetched"
    script = re.search(r'<script type="module">(.*?)</script>', page, re.S)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert script and policy
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    assert not PLACE.search(page), "a place of the template was not filled"


def test_score_that_is_not_finite_is_null(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    samples = make_samples(tmp_path / "data", TYPES)
    with caplog.at_level(logging.ERROR):
        scores = [float("nan"), *SCORES[1:]]
    path = write_report(tmp_path / "run", samples, scores, thresholds=THRESHOLDS)
    first = held(path.read_text(), "images")[0]
    assert (first["score"], first["normalised"]) == (None, None)


def test_image_that_is_gone_is_named_and_leaves_no_page(tmp_path: Path):
    samples = make_samples(tmp_path / "data", TYPES)
    samples[0].image.unlink()
    with pytest.raises(ValueError, match=r"image\.png: missing"):
        write_report(tmp_path / "run", samples, SCORES)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"scores.csv", "curves"}


def test_images_are_taken_one_by_one(tmp_path: Path):
    taken = []

    def images():
        for number in range(3):
            taken.append((number, next(tmp_path.glob(".*.html")).stat().st_size))
            yield {"filler": "x" * 100_000}

    write_page(tmp_path / "report.html", "title", {}, images())
    assert taken[2][1] > 100_000, "the first image waited for the last"


@pytest.mark.parametrize(("images", "side"), [(0, 1024), (42, 930), (1000, 190), (10**6, 64)])
def test_photographs_are_the_smaller_the_more_there_are(images: int, side: int):
    assert photograph_side(images) == side


def test_outline_of_a_rectangle_is_its_edge():
    mask = Image.new("L", (100, 50))
    ImageDraw.Draw(mask).rectangle((20, 10, 59, 29), fill=255)  # x in [20, 60), y in [10, 30)
    points = np.array(re.findall(r"(-?\d+) (-?\d+)", outline_path(mask)), int)
    assert points.min(0) == pytest.approx([200, 200], abs=5)
    assert points.max(0) == pytest.approx([600, 600], abs=5)
    assert outline_path(mask).count("M") == 1


@pytest.mark.parametrize("width", [100, 2048, 10_001])
def test_defect_of_one_pixel_has_an_outline_where_it_lies(width: int):
    mask = Image.new("L", (width, width // 2))
    mask.putpixel((width // 2, width // 8), 255)
    points = np.array(re.findall(r"(-?\d+) (-?\d+)", outline_path(mask)), int)
    assert len(points) >= 3
    assert points.mean(0) == pytest.approx([500, 250], abs=10)
    assert outline_path(Image.new("L", (8, 8))) == ""


def test_predicted_region_is_outlined_between_the_pixels_that_are_above_and_below():
    values = np.zeros((20, 40), np.float32)
    values[5:10, 10:30] = 1.0
    points = np.array(re.findall(r"(-?\d+) (-?\d+)", region_path(values, 0.5)), int)
    assert points.min(0) == pytest.approx([250, 250], abs=5)
    assert points.max(0) == pytest.approx([750, 500], abs=5)
    assert region_path(values, 1.0) == "", "a value at the threshold is not above it"


def test_heat_has_the_colours_and_opacity_of_the_overlays():
    anomaly_map = np.tile(np.linspace(0, 2, 128, dtype=np.float32), (128, 1))
    content = base64.b64decode(draw_heat(anomaly_map, (0.0, 2.0), side=512))
    drawn = np.asarray(Image.open(io.BytesIO(content)), int)
    assert np.abs(drawn[..., :3] - heat_map(anomaly_map, 0, 2)).mean() < 4
    assert np.abs(drawn[..., 3] / 255 - heat_opacity(anomaly_map, 0, 2)).mean() < 0.04

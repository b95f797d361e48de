"""`python -m rdad.predict` as a user runs it."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from rdad.detector.trained_model import TrainedModel
from rdad.predict.__main__ import COMMAND, predict

MIB = 1024**2
IMAGES = 500


def started(*arguments: object, stdin: IO[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rdad.predict", *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(*arguments: object) -> int:
    """The command in this process: its exit code."""
    return COMMAND.main(predict, list(map(str, arguments)))


def write_parts(folder: Path) -> set[str]:
    """500 files of which 20 are unusual; gives the names of the 14 that are no images."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(IMAGES - 20):
        pixels = random.integers(0, 256, (64, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png", compress_level=1)
    whole = (folder / "000.png").read_bytes()
    Image.open(folder / "000.png").save(folder / "whole.jpg")
    jpeg = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    unusable = {
        **{f"x_cut_{number}.png": whole[: 100 * (number + 1)] for number in range(3)},
        **{f"x_cut_{number}.jpg": jpeg[: 500 * (number + 1)] for number in range(2)},
        **{f"x_empty_{number}.png": b"" for number in range(3)},
        **{f"x_text_{number}.png": b"a text, and no picture\n" for number in range(3)},
    }
    for name, content in unusable.items():
        (folder / name).write_bytes(content)
    folders = {f"x_folder_{number}.png" for number in range(3)}
    for name in folders:
        (folder / name).mkdir()
    for number in range(2):
        deep = random.integers(0, 65536, (30, 40), np.uint16)
        Image.fromarray(deep).save(folder / f"y_16bit_{number}.png")
        Image.new("CMYK", (30, 40), (200, 10, 90, 0)).save(folder / f"y_cmyk_{number}.jpg")
        Image.new("RGB", ((20000, 2), (2, 20000))[number]).save(folder / f"y_thin_{number}.png")
    return {*unusable, *folders}


def test_five_hundred_images_of_which_fourteen_are_unusable(tmp_path: Path, model_file: Path):
    unusable = write_parts(tmp_path / "parts")
    running = started(model_file, tmp_path / "parts", "maps=true", f"output={tmp_path / 'out'}")
    assert running.stdout is not None
    memory, printed = {}, 0
    for printed, _ in enumerate(running.stdout):
        if printed in (50, 480):
            memory[printed] = psutil.Process(running.pid).memory_info().rss / MIB
    _, said = running.communicate(timeout=60)
    assert (running.returncode, printed) == (4, IMAGES), said
    assert memory[480] - memory[50] < 30, memory

    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open(encoding="utf-8")))
    assert [row["image"] for row in rows] == sorted(row["image"] for row in rows)
    failed = {Path(row["image"]).name: row["error"] for row in rows if row["error"]}
    assert set(failed) == unusable
    for name, reason in failed.items():
        assert f"{tmp_path / 'parts' / name}: {reason}" in said
    scored = [row for row in rows if not row["error"]]
    assert len(scored) == 486
    for row in scored[:: len(scored) // 10] + scored[-6:]:
        assert float(row["score"]) > 0 and 0 < float(row["normalised_score"]) < 1
        stored = tifffile.imread(tmp_path / "out" / row["anomaly_map"])
        width, height = Image.open(row["image"]).size
        assert stored.shape == (height, width)


def test_ctrl_c_leaves_the_results_so_far(tmp_path: Path, model_file: Path, parts: Path):
    many = "\n".join([str(parts / "left" / "000.png")] * 20000)
    (tmp_path / "list").write_text(many)
    with (tmp_path / "list").open() as listed:
        running = started(model_file, "-", f"output={tmp_path / 'out'}", stdin=listed)
    assert running.stdout is not None
    for _, _line in zip(range(40), running.stdout, strict=False):
        pass
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open(encoding="utf-8")))
    assert 39 <= len(rows) < 20000
    assert all(row["score"] and row["label"] for row in rows)
    # Ctrl-C may come when a row is written and not yet counted
    assert any(f"{count} of 20000 images" in said for count in (len(rows), len(rows) - 1))
    assert "Traceback" not in said


def test_json_lines_through_pipes_hold_nothing_else(
    model_file: Path,
    parts: Path,
    trained: TrainedModel,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    images = [parts / "right" / "003.png", parts / "left" / "cut.png"]
    listed = io.BytesIO("\n".join(map(str, images)).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(listed))
    assert command(model_file, "-", "format=jsonl", "batch_size=1") == 4
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    expected = trained.predict(images[0])
    assert expected.regions
    regions = [json.loads(json.dumps(region.to_dict())) for region in expected.regions]
    assert first == {
        "image": str(images[0]),
        "score": expected.score,
        "normalised_score": expected.normalised_score,
        "label": expected.label,
        "regions": regions,
        "height": expected.size[0],
        "width": expected.size[1],
    }
    assert second["image"] == str(images[1]) and "damaged" in second["error"]


def test_a_reader_that_has_enough_is_no_error(model_file: Path, parts: Path):
    running = started(model_file, parts, "format=csv")
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    said = running.stderr.read()
    running.wait(60)
    assert "Traceback" not in said and "Broken" not in said


def test_the_threshold_that_is_named_judges_and_is_said(
    model_file: Path,
    parts: Path,
    trained: TrainedModel,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    scores = sorted(trained.predict(image).score for image in (parts / "right").iterdir())
    middle = sum(scores[1:3]) / 2
    caplog.set_level("INFO")
    assert command(model_file, parts / "right", "format=jsonl", f"threshold={middle}") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all((one["label"] == "defective") == (one["score"] > middle) for one in lines)
    assert [one["normalised_score"] > 0.5 for one in lines].count(True) == 2
    assert f"thresholds: image {middle:.4g} (given), pixel 1.75" in caplog.text


def test_overlays_and_maps_are_named_in_the_results(model_file: Path, parts: Path, tmp_path: Path):
    out = tmp_path / "out"
    options = ("overlays=true", "maps=true", "format=jsonl", f"output={out}")
    assert command(model_file, parts / "left", *options) == 4
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    for line in lines[:-1]:
        assert (out / line["overlay"]).is_file() and (out / line["anomaly_map"]).is_file()
    assert set(lines[-1]) == {"image", "error"}


def test_masks_coco_and_labelme_files_tell_the_same_regions(
    model_file: Path, parts: Path, trained: TrainedModel, tmp_path: Path
):
    options = ("masks=true", "labelme=true", "format=coco", "regions.smallest=20")
    assert command(model_file, parts / "left", *options, f"output={tmp_path}") == 4
    coco = json.loads((tmp_path / "results.json").read_text())
    assert len(coco["images"]) == 4 and coco["annotations"]
    for image in coco["images"]:
        path = Path(image["file_name"])
        prediction = trained.predict(path)
        assert (image["height"], image["width"]) == prediction.size
        regions = [one for one in prediction.regions or () if one.area >= 20]
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{path.stem}.png"))
        assert set(np.unique(mask)) <= {0, 255}
        assert np.count_nonzero(mask) == sum(one.area for one in regions)
        of_image = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        assert [one["bbox"] for one in of_image] == [list(one.box) for one in regions]
        labelme = json.loads((tmp_path / "labelme" / f"{path.stem}.json").read_text())
        assert (tmp_path / "labelme" / labelme["imagePath"]).samefile(path)
        assert len(labelme["shapes"]) == len(regions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "{image}", "regions.smallest=0"], "regions.smallest must be 1 or more"),
        (["gone", "{image}"], "found no gone; allowed are a run folder"),
        (["{model}"], "expected RUN IMAGE"),
        (["{model}", "{image}", "format=xml"], "format must be one of csv, jsonl"),
        (["{model}", "{image}", "batch_size=0"], "batch_size must be 1 or more; found 0"),
        (["{model}", "{image}", "threshold=-1"], "threshold must be above 0; found -1.0"),
        (["{model}", "{image}", "thresholds.image_rate=2"], "image_rate must be above 0 and below"),
        (["{model}", "{image}", "thresholds.image_rate=0.1"], "there are none (dataset.calibra"),
        (["{model}", "{image}", "bits=17"], "bits must be a number from 8 to 16; found 17"),
        (["{model}", "{image}", "maps=true"], "overlays, maps, masks, labelme needs a folder"),
        (["{model}", "{image}", "device=abacus"], "device=abacus, and torch sees"),
        (["{model}", "{image}", "ouput=x"], "ouput"),
        (["{model}", "{empty}"], "no images in"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    model_file: Path,
    parts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    message: str,
):
    image = parts / "left" / "000.png"
    places = {"model": model_file, "image": image, "empty": tmp_path}
    assert command(*(one.format(**places) for one in arguments)) == 1
    said = capsys.readouterr()
    assert message in said.err and said.out == ""
    assert "Traceback" not in said.err


def test_dark_images_of_16_bits_are_said_once_and_bits_can_be_named(
    model_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for name in ("0.png", "1.png"):
        deep = np.random.default_rng(0).integers(0, 4096, (30, 30), np.uint16)
        Image.fromarray(deep).save(tmp_path / name)
    assert command(model_file, tmp_path) == 0
    said = f"2 images of 16 bits keep 16 grey levels at most, the first is {tmp_path / '0.png'}"
    assert caplog.text.count(said) == 1
    caplog.clear()
    assert command(model_file, tmp_path, "bits=12") == 0
    assert "16 bits" not in caplog.text


def test_files_that_are_turned_or_have_pages_are_said_once(
    model_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    pages = [Image.new("RGB", (30, 30), (level, 0, 0)) for level in (10, 200)]
    for name in ("0.tif", "1.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    pages[0].save(tmp_path / "2.jpg", exif=exif)
    assert command(model_file, tmp_path) == 0
    for said in (
        f"of 2 files with several pages or frames the first one alone is read, as of {tmp_path}/0",
        f"1 files are turned or mirrored as their EXIF orientation says, the first is {tmp_path}/2",
    ):
        assert caplog.text.count(said) == 1


def test_results_are_not_written_over_unless_asked(
    model_file: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def results(*options: str) -> int:
        return command(model_file, parts / "right", f"output={tmp_path}", *options)

    assert results() == 0
    assert results() == 1
    assert "results.csv is there already" in capsys.readouterr().err
    assert results("overwrite=true") == 0


def test_nothing_scored_is_a_failure(
    model_file: Path, parts: Path, capsys: pytest.CaptureFixture[str]
):
    assert command(model_file, parts / "left" / "cut.png", parts / "gone.png") == 1
    assert "gone.png: missing" in capsys.readouterr().err


def test_help_takes_less_than_a_second_of_work():
    program = "import sys, rdad.predict; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not {"torch", "mlflow", "lightning", "pandas", "matplotlib"} & set(done.stdout.split())

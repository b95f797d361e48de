"""A test's results in its run folder, from small images made here."""

import csv
import errno
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from report_folders import computed_metrics

from rdad.data.samples import Sample, named
from rdad.metrics.thresholds import Threshold, Thresholds
from rdad.results import writer as artifacts
from rdad.results.spool import Spool
from rdad.results.waiting import WaitingRoom
from rdad.results.writer import MAPS_WAITING, ArtifactWriter


def bilinear(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarged, pixel centres at halves, borders continued: point by point."""
    result = np.empty(size)
    for row, column in np.ndindex(size):
        y = np.clip((row + 0.5) * values.shape[0] / size[0] - 0.5, 0, values.shape[0] - 1)
        x = np.clip((column + 0.5) * values.shape[1] / size[1] - 0.5, 0, values.shape[1] - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
        upper = values[top, left] * (1 - x % 1) + values[top, right] * (x % 1)
        lower = values[bottom, left] * (1 - x % 1) + values[bottom, right] * (x % 1)
        result[row, column] = upper * (1 - y % 1) + lower * (y % 1)
    return result


def make_sample(folder: Path, defect_type: str, name: str) -> Sample:
    image = folder / "test" / defect_type / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), (90, 120, 150)).save(image)
    if defect_type == "good":
        return Sample(image=image, label=0, defect_type="good", mask=None, name=name)
    mask = folder / "ground_truth" / defect_type / f"{name}_mask.png"
    mask.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((20, 30), dtype=np.uint8)
    pixels[5:15, 10:20] = 255
    Image.fromarray(pixels).save(mask)
    return Sample(image=image, label=1, defect_type=defect_type, mask=mask, name=name)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    names = [("bent", "000"), ("bent", "001"), ("good", "000"), ("good", "001"), ("good", "002")]
    return [make_sample(tmp_path / "data", *name) for name in names]


def write_all(run_dir: Path, samples: list[Sample], **options: object) -> None:
    random = np.random.default_rng(0)
    maps = [random.random((10, 15), dtype=np.float32) + sample.label for sample in samples]
    scores = [float(anomaly_map.max()) for anomaly_map in maps]
    with ArtifactWriter(run_dir, category="part", **options) as writer:
        for sample, anomaly_map, score in zip(samples, maps, scores, strict=True):
            writer.add(sample, (20, 30), anomaly_map, score)
        writer.take_curves(computed_metrics(samples, scores, maps))


def test_run_folder_holds_every_artifact(tmp_path: Path, samples: list[Sample]):
    write_all(tmp_path / "run", samples)
    files = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*.*")}
    assert files == {
        "scores.csv",
        *(f"anomaly_maps/part/test/{s.defect_type}/{s.name}.tiff" for s in samples),
        *(f"overlays/{s.defect_type}_{s.name}.png" for s in samples),
        *(f"curves/{name}" for name in ("roc.png", "roc.csv", "pro.png", "pro.csv")),
        "curves/score_histogram.png",
    }


@pytest.mark.parametrize("size", [(20, 30), (13, 31), (10, 15)])
def test_tiff_is_the_raw_map_enlarged_bilinearly(
    tmp_path: Path, samples: list[Sample], size: tuple[int, int]
):
    raw = np.random.default_rng(1).normal(size=(10, 15)).astype(np.float32)
    with ArtifactWriter(tmp_path, category="part", overlays=0) as writer:
        writer.add(samples[0], size, raw, 1.0)
    read = tifffile.imread(tmp_path / "anomaly_maps/part/test/bent/000.tiff")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, bilinear(raw, size), atol=2e-6)
    if size == raw.shape:
        np.testing.assert_array_equal(read, raw)


def test_map_of_a_small_image_keeps_its_mean(tmp_path: Path, samples: list[Sample]):
    raw = np.random.default_rng(1).random((64, 64), dtype=np.float32)
    with ArtifactWriter(tmp_path, category="part", overlays=0) as writer:
        writer.add(samples[0], (16, 32), raw, 1.0)
    read = tifffile.imread(tmp_path / "anomaly_maps/part/test/bent/000.tiff")
    assert read.shape == (16, 32)
    assert read.mean() == pytest.approx(raw.mean(), abs=0.01)


def test_caller_may_reuse_the_map_it_gave(tmp_path: Path, samples: list[Sample]):
    buffer = np.zeros((20, 30), dtype=np.float32)
    with ArtifactWriter(tmp_path, category="part") as writer:
        for number, sample in enumerate(samples):
            buffer[:] = number
            writer.add(sample, (20, 30), buffer, number)
    for number, sample in enumerate(samples):
        folder = tmp_path / "anomaly_maps/part/test" / sample.defect_type
        assert (tifffile.imread(folder / f"{sample.name}.tiff") == number).all()


def test_scores_come_back_to_the_last_bit_in_the_order_of_the_samples(
    tmp_path: Path, samples: list[Sample]
):
    scores = [0.1 + 0.2, 1 / 3, 1e-300, float(np.float32(0.7)), -2.0]
    writer = ArtifactWriter(tmp_path, category="part", maps=False, overlays=0)
    for sample, score in zip(samples, scores, strict=True):
        writer.add(sample, (20, 30), np.zeros((4, 4), np.float32), score)
    writer.close()
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == scores
    assert [Path(row["image"]) for row in rows] == [sample.image for sample in samples]
    assert [int(row["label"]) for row in rows] == [1, 1, 0, 0, 0]
    assert {row["split"] for row in rows} == {"test"}
    assert rows[0]["defect_type"] == "bent"


def test_scores_say_which_item_an_image_is_a_view_of_where_there_are_such(
    tmp_path: Path, samples: list[Sample]
):
    viewed = [replace(one, part="item, 1" if one.label else "") for one in samples]
    write_all(tmp_path / "run", viewed)
    with (tmp_path / "run/scores.csv").open(encoding="utf-8", newline="") as file:
        assert [row["part"] for row in csv.DictReader(file)] == ["item, 1"] * 2 + [""] * 3


def test_names_with_spaces_commas_and_other_letters_work(tmp_path: Path):
    names = [("Kratzer, größer", "bild 1"), ("Kratzer, größer", "缺陷"), ("good", "a.b")]
    samples = [make_sample(tmp_path / "data", *name) for name in names]
    write_all(tmp_path / "läufe 1", samples)
    folder = tmp_path / "läufe 1"
    assert (folder / "anomaly_maps/part/test/Kratzer, größer/bild 1.tiff").is_file()
    assert (folder / "overlays/Kratzer, größer_缺陷.png").is_file()
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [str(s.image) for s in samples]


def test_names_that_are_no_utf_8_and_as_long_as_can_be_work(tmp_path: Path):
    names = [("cr\udcffack", "n\udcff"), ("l" * 255, "x" * 246), ("good", "n\udcfe")]
    samples = named(make_sample(tmp_path / "d\udcff", *name) for name in names)
    write_all(tmp_path / "run", list(samples))
    found = {path.name for path in (tmp_path / "run" / "overlays").iterdir()}
    assert found == {"cr_ack_n_.png", f"{'l' * 200}.png", "good_n_.png"}
    maps = (tmp_path / "run" / "anomaly_maps").rglob("*.tiff")
    assert {path.name for path in maps} == {"n_.tiff", f"{'x' * 200}.tiff"}
    text = (tmp_path / "run" / "scores.csv").read_text("utf-8", errors="surrogateescape")
    assert [row["image"] for row in csv.DictReader(text.splitlines())] == [
        str(sample.image) for sample in samples
    ]


def test_overlays_of_a_run_share_one_colour_scale(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
):
    import rdad.results.pictures

    limits, draw = set(), rdad.results.pictures.overlay

    def watched(image, anomaly_map, mask, low, high, **texts):
        limits.add((low, high))
        return draw(image, anomaly_map, mask, low, high, **texts)

    monkeypatch.setattr(rdad.results.pictures, "overlay", watched)
    with ArtifactWriter(tmp_path, category="part") as writer:
        for number, sample in enumerate(samples):
            anomaly_map = np.linspace(number, 2 * number, 16, dtype=np.float32).reshape(4, 4)
            writer.add(sample, (20, 30), anomaly_map, number)
    assert limits == {(0.0, 8.0)}


@pytest.mark.parametrize(("most", "drawn"), [(0, 0), (3, 3), (None, 5), (100, 5)])
def test_overlays_are_at_most_as_many_as_asked(
    tmp_path: Path, samples: list[Sample], most: int | None, drawn: int
):
    write_all(tmp_path / "run", samples, overlays=most)
    assert len(list((tmp_path / "run").glob("overlays/*.png"))) == drawn


def test_maps_can_be_left_out_and_the_rest_is_there(tmp_path: Path, samples: list[Sample]):
    write_all(tmp_path / "run", samples, maps=False)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "scores.csv",
        "overlays",
        "curves",
    }


def test_adding_waits_for_a_slow_disk(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
):
    disk_is_ready = threading.Event()
    monkeypatch.setattr(artifacts, "write_map", lambda *_, **__: disk_is_ready.wait(20))
    writer = ArtifactWriter(tmp_path, category="part", overlays=0)
    added = []

    def add_many() -> None:
        for number in range(3 * MAPS_WAITING):
            writer.add(samples[0], (20, 30), np.zeros((4, 4), np.float32), 0.0)
            added.append(number)

    thread = threading.Thread(target=add_many)
    thread.start()
    time.sleep(0.3)
    waiting = len(added)
    disk_is_ready.set()
    thread.join()
    writer.close()
    assert waiting == MAPS_WAITING
    assert len(added) == 3 * MAPS_WAITING


def test_maps_that_wait_stay_below_the_limit_of_pixels_together() -> None:
    room, entered = WaitingRoom(items=16, pixels=100), []

    def enter(*sizes: int) -> None:
        for size in sizes:
            room.enter(size)
            entered.append(size)

    enter(60, 40)
    thread = threading.Thread(target=enter, args=(30, 500))
    thread.start()
    time.sleep(0.1)
    assert entered == [60, 40]
    room.leave(60)
    time.sleep(0.1)
    assert entered == [60, 40, 30]
    room.leave(40)
    room.leave(30)
    thread.join(10)
    assert entered == [60, 40, 30, 500]  # more than all room, and alone in it


def full_disk(path: Path, *_: object, **__: object) -> None:
    path.write_bytes(b"half of the f")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_one_error_that_names_file_and_folder(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(OSError, match=r"the disk is full, cannot write .*tiff;") as error:
        write_all(tmp_path / "run", samples)
    assert error.value.errno == errno.ENOSPC
    assert str(tmp_path / "run") in str(error.value)
    assert len((tmp_path / "run/scores.csv").read_text().splitlines()) == 6
    left = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["scores.csv"], "half-written files are left"


def test_disk_full_for_the_spool_does_not_stop_the_test(
    tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Spool, "append", full)
    with pytest.raises(OSError, match="the disk is full"):
        write_all(tmp_path / "run", samples)
    assert len((tmp_path / "run/scores.csv").read_text().splitlines()) == 6


def test_file_that_is_in_the_way_is_named(tmp_path: Path, samples: list[Sample]):
    (tmp_path / "anomaly_maps").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot write .*anomaly_maps/part/test/\w+/00\d\.tiff"):
        write_all(tmp_path, samples)


def test_image_that_is_gone_is_named_and_the_scores_are_there(
    tmp_path: Path, samples: list[Sample]
):
    samples[0].image.unlink()
    with pytest.raises(ValueError, match=r"bent/000\.png: missing"):
        write_all(tmp_path / "run", samples)
    assert (tmp_path / "run/scores.csv").is_file()


def test_error_in_the_test_leaves_no_scores_and_is_raised_as_it_was(
    tmp_path: Path, samples: list[Sample]
):
    def fail_after_one_image() -> None:
        with ArtifactWriter(tmp_path / "run", category="part") as writer:
            writer.add(samples[0], (20, 30), np.zeros((4, 4), np.float32), 0.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_one_image()
    assert not (tmp_path / "run/scores.csv").exists()
    assert not [thread for thread in threading.enumerate() if "artifacts" in thread.name]


def test_test_without_images_leaves_an_empty_table(tmp_path: Path):
    ArtifactWriter(tmp_path, category="part").close()
    columns = "image,split,defect_type,label,score,normalised_score,predicted\n"
    assert (tmp_path / "scores.csv").read_text() == columns


def test_scores_stand_beside_what_the_threshold_says_of_them(tmp_path: Path, samples: list[Sample]):
    one = Threshold(0.5, 2.0)
    thresholds = Thresholds(one, one, 0.02, 0.001, images=3, guaranteed=False, note="few")
    for name, found, expected in (
        ("with", thresholds, [("0.5", "0"), ("0.8", "1"), ("0.0", "0")]),
        ("without", None, [("", "")] * 3),
    ):
        run_dir = tmp_path / name
        options = {"maps": False, "overlays": 0, "thresholds": found}
        with ArtifactWriter(run_dir, category="part", **options) as writer:
            for sample, score in zip(samples[:3], (0.5, 1.0, 0.0), strict=True):
                writer.add(sample, (20, 30), np.zeros((4, 4), np.float32), score)
        with (run_dir / "scores.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["normalised_score"], row["predicted"]) for row in rows] == expected


def test_real_images_of_many_sizes_get_maps_of_their_size(tmp_path: Path, assets: Path):
    from rdad.data.layouts import read_folder

    tile = assets / "data/magnetic_tile/tile"
    samples = read_folder(
        tile, "train/good", normal_test="test/good", defects="test", masks="ground_truth"
    ).test[::60]
    with ArtifactWriter(tmp_path, category="tile") as writer:
        for number, sample in enumerate(samples):
            with Image.open(sample.image) as image:
                size = (image.height, image.width)
            writer.add(sample, size, np.full((64, 64), number, np.float32), number)
    sizes = set()
    for sample in samples:
        path = tmp_path / "anomaly_maps/tile/test" / sample.defect_type / f"{sample.name}.tiff"
        with Image.open(sample.image) as image:
            assert tifffile.imread(path).shape == (image.height, image.width)
            sizes.add(image.size)
    assert len(sizes) > 3
    assert len(list((tmp_path / "overlays").iterdir())) == len(samples)


def test_importing_artifacts_loads_no_slow_library():
    code = (
        "import sys, rdad.results.writer; slow = {'torch', 'lightning', 'mlflow', 'pandas', "
        "'matplotlib', 'scipy', 'PIL', 'tifffile'} & set(sys.modules); assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spool_gives_back_maps_of_any_shape(tmp_path: Path):
    random = np.random.default_rng(0)
    maps = [random.random(shape, dtype=np.float32) for shape in ((3, 4), (1, 1), (50, 20))]
    spool = Spool(tmp_path)
    for anomaly_map in maps:
        spool.append(anomaly_map[::-1])
    for number in (2, 0, 1):
        np.testing.assert_array_equal(spool[number], maps[number][::-1])
    spool.close()
    assert not list(tmp_path.iterdir())

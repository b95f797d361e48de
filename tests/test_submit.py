"""A submission to MVTec AD 2's server: written by runs, checked whole, packed."""

import os
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from trained_runs import make_trained_run

from rdad.detector.loaded_run import load_run
from rdad.detector.model_file import replace_thresholds
from rdad.results import submission
from rdad.results.private_images import write_image
from rdad.runs.files import MODEL_FILE
from rdad.submit import COMMAND, INCOMPLETE, submit

SIZE = (50, 70)
WHOLE = submission.IMAGES
SPLITS = {"test_private": "regular", "test_private_mixed": "mixed"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/{can,vial}/{test_private,test_private_mixed}; runs/{can,vial}, untrained networks."""
    folder, draw = tmp_path_factory.mktemp("ad2"), np.random.default_rng(0)
    for category in ("can", "vial"):
        for split, light in SPLITS.items():
            images = folder / "data" / category / split
            images.mkdir(parents=True)
            for number in range(2):
                pixels = draw.integers(0, 256, (*SIZE, 3), np.uint8)
                Image.fromarray(pixels).save(images / f"{number:03}_{light}.png")
    first = make_trained_run(folder / "runs" / "vial", threshold=1.73)
    for run in (first, alike(first, folder / "runs" / "can")):
        write_config(run, f"{{root: {folder / 'data'}, category: {run.name}}}")
    return folder


def alike(run: Path, folder: Path) -> Path:
    """A run with the same files."""
    return shutil.copytree(run, folder, copy_function=os.link)


def write_config(run: Path, dataset: str) -> None:
    path = run / ".hydra" / "config.yaml"
    path.unlink()  # it may be another run's as well
    path.write_text(f"dataset: {dataset}\n")


@pytest.fixture(autouse=True)
def _two_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "IMAGES", {"can": 2, "vial": 2})


@pytest.fixture(scope="module")
def written(place: Path) -> Path:
    """Both categories, in two calls."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(submission, "IMAGES", {"can": 2, "vial": 2})
        folder = place / "submission"
        assert command(place / "runs" / "can", f"output={folder}") == INCOMPLETE
        assert not folder.with_suffix(".tar.gz").exists()
        assert command(place / "runs" / "vial", f"output={folder}") == 0
    return folder


def command(*arguments: object) -> int:
    return COMMAND.main(submit, list(map(str, arguments)))


def test_each_private_image_has_its_map_in_float16_and_its_mask(place: Path, written: Path) -> None:
    run = load_run(place / "runs" / "vial")
    assert run.thresholds is not None
    shares = []
    for split, light in SPLITS.items():
        image = place / "data" / "vial" / split / f"001_{light}.png"
        expected = run.predict(image).anomaly_map
        found = tifffile.imread(written / "anomaly_images/vial" / split / f"001_{light}.tiff")
        assert (found.dtype, found.shape) == (np.float16, SIZE)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
        mask = written / "anomaly_images_thresholded/vial" / split / f"001_{light}.png"
        pixels = np.asarray(Image.open(mask))
        assert ((pixels == 255) == (expected > run.thresholds.pixel.value)).mean() > 0.999
        assert set(np.unique(pixels)) <= {0, 255}
        shares.append((pixels > 0).mean())
    assert 0 < min(shares) <= max(shares) < 1


def test_one_run_of_both_categories_serves_for_both(
    place: Path, written: Path, tmp_path: Path
) -> None:
    both = alike(place / "runs" / "can", tmp_path / "both")
    write_config(both, f"{{root: {place / 'data'}, category: [can, vial], joint: true}}")
    common = load_run(both).thresholds
    assert common is not None
    own = {"vial": replace(common, pixel=replace(common.pixel, value=1e6))}
    replace_thresholds(both / MODEL_FILE, replace(common, by_category=own))
    assert command(both, f"output={tmp_path / 'whole'}") == 0
    files = [
        {path.relative_to(folder) for path in folder.rglob("*.*")}
        for folder in (tmp_path / "whole", written)
    ]
    assert files[0] == files[1]
    called = tmp_path / "whole" / "anomaly_images_thresholded"
    marked = {
        category: [
            np.asarray(Image.open(path)).any() for path in (called / category).rglob("*.png")
        ]
        for category in ("can", "vial")
    }
    assert all(marked["can"]) and not any(marked["vial"])  # by a category's own threshold


def test_the_archive_holds_the_two_trees_in_a_folder_of_its_name(written: Path) -> None:
    with tarfile.open(written.with_name("submission.tar.gz")) as archive:
        names = archive.getnames()
        maps = archive.extractfile("submission/anomaly_images/can/test_private/000_regular.tiff")
        assert maps is not None
        content = maps.read()
    assert content == (written / "anomaly_images/can/test_private/000_regular.tiff").read_bytes()
    assert sorted(names) == sorted(
        f"submission/{tree}/{category}/{split}/{number:03}_{light}{suffix}"
        for tree, suffix in (("anomaly_images", ".tiff"), ("anomaly_images_thresholded", ".png"))
        for category in ("can", "vial")
        for split, light in SPLITS.items()
        for number in range(2)
    )


def test_a_category_that_is_there_is_written_over_only_if_asked(
    place: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, path = place / "runs" / "can", written / "anomaly_images/can/test_private/000_regular.tiff"
    before = path.stat().st_mtime_ns
    assert command(run, f"output={written}") == 1
    assert "has can already" in capsys.readouterr().err
    assert path.stat().st_mtime_ns == before
    assert command(run, f"output={written}", "overwrite=true") == 0
    assert path.stat().st_mtime_ns > before


def float32(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path).astype(np.float32))


def infinite(path: Path) -> None:
    tifffile.imwrite(path, np.full(SIZE, np.inf, np.float16))


def smaller(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((5, 5), np.float16))


def grey(path: Path) -> None:
    Image.fromarray(np.full(SIZE, 128, np.uint8)).save(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


MAP = "anomaly_images/can/test_private/000_regular.tiff"
MASK = "anomaly_images_thresholded/can/test_private/000_regular.png"


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        (MAP, Path.unlink, "missing"),
        (MAP, float32, "float32 .* expected float16"),
        (MAP, smaller, r"\(5, 5\); expected float16 \(50, 70\)"),
        (MAP, infinite, "not finite"),
        (MAP, cut, "cannot be read"),
        (MASK, grey, "other values than 0 and 255"),
        (MASK, cut, "cannot be read"),
    ],
)
def test_a_file_that_the_server_would_refuse_is_named(
    place: Path, written: Path, tmp_path: Path, file: str, spoil: Callable[[Path], None], said: str
) -> None:
    copy = shutil.copytree(written, tmp_path / "copy")
    spoil(copy / file)
    (problem,) = submission.problems_of(copy, place / "data")
    assert problem.startswith(f"{copy / file}: ")
    assert re.search(said, problem)


def test_a_file_too_many_is_named(place: Path, written: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(written, tmp_path / "copy")
    (copy / "anomaly_images/can/test_private/notes.txt").write_text("mine")
    (problem,) = submission.problems_of(copy, place / "data")
    assert problem == "anomaly_images/can/test_private/notes.txt: not expected"


def test_a_data_set_that_is_not_whole_is_refused_before_anything_is_written(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(submission, "IMAGES", {"can": 3, "vial": 2})
    assert command(place / "runs" / "can", f"output={tmp_path}") == 1
    assert f"2 images in {place / 'data/can/test_private'}" in capsys.readouterr().err
    assert not (tmp_path / "anomaly_images").exists()


def test_a_folder_with_other_things_is_refused_before_anything_is_written(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    assert command(place / "runs" / "can", f"output={tmp_path}") == 1
    assert "letter.txt" in capsys.readouterr().err
    assert not (tmp_path / "anomaly_images").exists()


def test_runs_that_cannot_be_submitted_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    can = place / "runs" / "can"
    uncalibrated = make_trained_run(tmp_path / "uncalibrated", threshold=None)
    write_config(uncalibrated, "{root: x, category: can}")
    brick, elsewhere = (alike(can, tmp_path / name) for name in ("brick", "elsewhere"))
    write_config(brick, "{root: x, category: brick}")
    write_config(elsewhere, "{root: elsewhere, category: vial}")
    listed = alike(can, tmp_path / "listed")
    write_config(listed, "{file: parts.csv, root: null, category: can}")
    for runs, said in (
        ([listed], "does not say where its data set is: give root="),
        ([uncalibrated], "has no pixel threshold"),
        ([brick], "of the category brick; allowed: can, vial"),
        ([can, can], "the second run of can"),
        ([can, elsewhere], f"several data sets, {place / 'data'}, elsewhere: give root="),
        ([can / "model.pt"], "does not say its category"),
        ([can, "root=nowhere"], "folder nowhere does not exist"),
        ([can, "root=~nobody-of-that-name"], "no home folder is known"),
    ):
        assert command(*runs, f"output={tmp_path / 'out'}") == 1
        assert said in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.tiff"))


def test_a_map_beyond_float16_is_refused(tmp_path: Path, place: Path) -> None:
    threshold = load_run(place / "runs" / "can").thresholds
    assert threshold is not None
    image = place / "data/can/test_private/000_regular.png"
    with pytest.raises(ValueError, match=r"000_regular\.png has values up to 70000"):
        write_image(tmp_path, "can", image, np.full(SIZE, 7e4, np.float32), threshold.pixel)


def test_the_server_expects_2045_images_of_each_split() -> None:
    assert (len(WHOLE), sum(WHOLE.values())) == (8, 2045)

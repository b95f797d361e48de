"""The embedded data set: the same pixels everywhere, exact masks, written whole."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from rdad.data.layouts import read_mvtec_ad
from rdad.data.ranges import TEXTURES
from rdad.data.texture_defects import Draw, foreign, scratch, stain
from rdad.data.texture_photographs import (
    CROP_PX,
    MANIFEST,
    TEST_COLUMNS,
    TRAIN_COLUMNS,
    read_textures,
    write_textures,
)

# Of all decoded pixels in the order of the sorted paths, uint8, any machine. To be made anew,
# with embedded.VERSION raised: pytest tests/data/test_textures.py -k golden prints the new one.
GOLDEN = {
    "brick": "a09a6fa005724457c1e35583c841544299a7223f9933041fc50dccb85865933a",
    "grass": "00cb631fa25cc53575578f7eec7737dd7f3f58f1e9429c0dc08f0a3459450861",
    "gravel": "b66f579e3922b8c8440088f4b70a76d51a5f0e8906b4d01a49582c4bd886e1d6",
}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("textures")
    for category in TEXTURES:
        write_textures(category, folder)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of a few images, so that writing it costs little."""
    for name in ("TRAIN_IMAGES", "GOOD_TEST_IMAGES", "IMAGES_A_DEFECT"):
        monkeypatch.setattr(f"rdad.data.texture_photographs.{name}", 2)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("category", TEXTURES)
def test_golden_pixels(written: Path, category: str) -> None:
    digest = hashlib.sha256()
    for path in sorted((written / category).rglob("*.png")):
        digest.update(path.relative_to(written).as_posix().encode())
        digest.update(pixels(path).tobytes())
    assert digest.hexdigest() == GOLDEN[category]


@pytest.mark.parametrize("category", TEXTURES)
def test_a_category_has_training_images_and_three_defect_types(
    written: Path, category: str
) -> None:
    samples = read_mvtec_ad(written, category)
    assert len(samples.train) == 72
    kinds = [sample.defect_type for sample in samples.test]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert counts == {"foreign": 12, "good": 20, "scratch": 12, "stain": 12}
    assert all(sample.mask for sample in samples.test if sample.label)
    assert pixels(samples.train[0].image).shape == (256, 256)


def test_training_and_test_images_share_no_pixel_of_the_photograph() -> None:
    assert TRAIN_COLUMNS[1] <= TEST_COLUMNS[0]
    assert all(right - left > CROP_PX for left, right in (TRAIN_COLUMNS, TEST_COLUMNS))


@pytest.mark.parametrize("category", TEXTURES)
def test_no_image_is_there_twice(written: Path, category: str) -> None:
    images = [pixels(path).tobytes() for path in (written / category).rglob("[0-9][0-9][0-9].png")]
    assert len(images) == 72 + 20 + 36
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("boldness", [1.0, 1.5])
@pytest.mark.parametrize("draw", [stain, scratch, foreign])
def test_a_defect_changes_what_its_mask_marks_and_only_a_rim_beyond(
    draw: Draw, boldness: float
) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(90, 130, (256, 256)).astype(np.uint8)
    other = generator.integers(0, 256, (256, 256)).astype(np.uint8)
    for seed in range(8):
        drawn, mask = draw(image, other, np.random.RandomState(seed), boldness=boldness)
        changed = drawn != image
        assert 60 < mask.sum() < 0.15 * mask.size
        assert changed[mask].mean() > 0.95
        square = np.ones((3, 3), bool)
        assert not changed[~ndimage.binary_dilation(mask, square, iterations=5)].any()


@pytest.mark.parametrize("category", TEXTURES)
def test_defects_stand_out_from_their_surroundings(written: Path, category: str) -> None:
    for path in sorted((written / category / "ground_truth").rglob("*.png")):
        mask = pixels(path) > 0
        image = pixels(written / category / "test" / path.parent.name / f"{path.name[:3]}.png")
        rim = ndimage.binary_dilation(mask, iterations=25) & ~ndimage.binary_dilation(
            mask, iterations=6
        )
        inside, outside = (np.percentile(image[where], range(0, 101, 5)) for where in (mask, rim))
        assert np.abs(inside - outside).mean() > 3


@pytest.mark.usefixtures("small")
def test_the_same_bytes_are_written_again(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_textures("brick", tmp_path / folder)
    paths = [path for path in (tmp_path / "one" / "brick").rglob("*") if path.is_file()]
    assert len(paths) == 2 + 2 + 3 * 2 * 2 + 1
    for path in paths:
        again = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == again.read_bytes()


@pytest.mark.usefixtures("small")
def test_whole_textures_are_left_as_they_are(tmp_path: Path) -> None:
    write_textures("brick", tmp_path)
    before = (tmp_path / "brick").stat().st_ino
    write_textures("brick", tmp_path)
    assert (tmp_path / "brick").stat().st_ino == before


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("damage", ["changed", "removed", "added", "stopped"])
def test_damaged_textures_are_written_anew(tmp_path: Path, damage: str) -> None:
    write_textures("brick", tmp_path)
    path = tmp_path / "brick/train/good/001.png"
    content = path.read_bytes()
    if damage == "changed":
        path.write_bytes(content[:-30] + bytes(30))
    elif damage == "removed":
        path.unlink()
    elif damage == "stopped":  # before the list of files, which is written last
        (tmp_path / "brick" / MANIFEST).unlink()
    else:
        (path.parent / "x.png").write_bytes(content)
    write_textures("brick", tmp_path)
    assert path.read_bytes() == content
    assert len(list(path.parent.iterdir())) == 2
    assert {entry.name for entry in tmp_path.iterdir()} == {".brick.lock", "brick"}


def test_processes_that_write_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    code = (
        "import sys, rdad.data.texture_photographs as embedded\n"
        "embedded.TRAIN_IMAGES = embedded.GOOD_TEST_IMAGES = embedded.IMAGES_A_DEFECT = 5\n"
        "embedded.read_textures('grass', sys.argv[1])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    (folder,) = tmp_path.iterdir()
    assert {entry.name for entry in folder.iterdir()} == {".grass.lock", "grass"}
    write_time = (folder / "grass" / MANIFEST).stat().st_mtime_ns
    write_textures("grass", folder)
    assert (folder / "grass" / MANIFEST).stat().st_mtime_ns == write_time


@pytest.mark.usefixtures("small")
def test_without_a_writable_cache_textures_go_to_a_temporary_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    samples = read_textures("gravel", tmp_path / "file")
    assert len(samples.train) == 2
    assert "temporary folder" in caplog.text

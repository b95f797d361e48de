"""Magnetic tiles as their repository lies; also a real copy laid out that way."""

import logging
from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.magnetic_tile import magnetic_tile, read_magnetic_tile
from rdad.data.readers.published import warn_of_counts


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    """Five good tiles with black masks; of two uneven ones the second has a black mask too."""
    for number in range(5):
        put(f"MT_Free/Imgs/exp1_num_{number}.jpg", mode="L")
        mark(f"MT_Free/Imgs/exp1_num_{number}.png", value=0)
    put("MT_Uneven/Imgs/a.jpg", "MT_Uneven/Imgs/b.jpg", "MT_Crack/Imgs/a.jpg", mode="L")
    mark("MT_Uneven/Imgs/a.png", "MT_Crack/Imgs/a.png")
    return mark("MT_Uneven/Imgs/b.png", value=0)


def test_jpeg_files_are_images_and_defects_without_a_mark_are_left_out(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    samples = read_magnetic_tile(root, "magnetic_tile", holdout=0.4)
    assert (len(samples.train), len(samples.test)) == (3, 4)
    assert {one.image.suffix for one in (*samples.train, *samples.test)} == {".jpg"}
    defects = [(one.defect_type, one.name) for one in samples.test if one.label]
    assert defects == [("crack", "a"), ("uneven", "a")]
    assert "left out: 1 defects without any mark" in caplog.text
    assert "2 of 5 good images are held out" in caplog.text


def test_which_are_held_out_is_seeded(root: Path) -> None:
    first, again, other = (
        {one.image for one in read_magnetic_tile(root, "", split_seed=seed).test}
        for seed in (0, 0, 4)
    )
    assert first == again != other


def test_images_and_masks_decode(root: Path) -> None:
    images = magnetic_tile(root, image_size=SIZE, cache_dir=root / "cache")
    (batch,) = images.test_dataloader()
    assert batch["masks"].flatten(1).any(1).tolist() == [False, True, True]


def test_the_real_tiles_are_read_as_their_repository_lies(
    assets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = assets / "data" / "magnetic_tile" / "tile"
    folders = {"MT_Free": [*(place / "train/good").iterdir(), *(place / "test/good").iterdir()]}
    for kind in (place / "ground_truth").iterdir():
        folders[f"MT_{kind.name.capitalize()}"] = sorted((place / "test" / kind.name).iterdir())
    for name, files in folders.items():
        (tmp_path / name / "Imgs").mkdir(parents=True)
        for file in files:
            (tmp_path / name / "Imgs" / file.name).symlink_to(file)
            mask = place / "ground_truth" / file.parent.name / f"{file.stem}_mask.png"
            if mask.is_file():
                (tmp_path / name / "Imgs" / f"{file.stem}.png").symlink_to(mask)
    samples = read_magnetic_tile(tmp_path, "magnetic_tile")
    good = [one for one in samples.test if not one.label]
    assert (len(samples.train) + len(good), len(samples.test) - len(good)) == (952, 388)
    assert len(good) == round(0.2 * 952)
    warn_of_counts("magnetic_tile", "magnetic_tile", samples)
    assert caplog.text == ""

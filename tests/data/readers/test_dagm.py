"""DAGM 2007: masks for defects alone, in upper case, and defects among the training images."""

import logging
from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.dagm import dagm, read_dagm


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    base = "DAGM_KaggleUpload/Class1"
    for split, numbers in (("Train", range(4)), ("Test", range(4, 7))):
        put(*(f"{base}/{split}/{number:04}.PNG" for number in numbers), mode="L")
        mark(f"{base}/{split}/Label/{numbers[1]:04}_label.PNG")
    place = put("DAGM_KaggleUpload/Class2/Train/0000.PNG")
    for name in ("Train/Label/Labels.txt", "Train/Thumbs.db"):
        (place / base / name).touch()
    return place


def test_an_image_is_defective_where_it_has_a_mask_and_training_has_none_of_them(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images = dagm(root, "Class1", image_size=SIZE, cache_dir=root / "cache")
    images.prepare()
    assert [one.name for one in images.train_samples] == ["0000", "0002", "0003"]
    assert [(one.name, one.label, len(one.masks)) for one in images.test_samples] == [
        *(("0004", 0, 0), ("0005", 1, 1), ("0006", 0, 0))
    ]
    assert "left out: 1 defects among the training images" in caplog.text
    with pytest.raises(ValueError, match=r"no category 'Class3' in .*; found: Class1, Class2"):
        dagm(root, "Class3").prepare()


@pytest.mark.parametrize("lacking", ["Train", "Test"])
def test_without_masks_not_all_images_are_good(root: Path, lacking: str) -> None:
    base = root / "DAGM_KaggleUpload/Class1"
    (base / lacking / "Label").rename(base / lacking / "label_of_mine")
    with pytest.raises(FileNotFoundError, match=f"{lacking}/Label does not exist"):
        read_dagm(root, "Class1")
    (base / lacking / "Label").mkdir()
    with pytest.raises(FileNotFoundError, match="expected a mask of each defect"):
        read_dagm(root, "Class1")

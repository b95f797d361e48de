"""VisA, as published and as others lay it out; counts by its real list of images."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.published import PUBLISHED, Counts
from rdad.data.readers.visa import LIST, read_visa, visa

COLUMNS = "object,split,label,image,mask"


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    """Masks hold classes; by the folders alone 0001 could as well be tested on."""
    normal, anomaly = "candle/Data/Images/Normal", "candle/Data/Images/Anomaly"
    put(*(f"{normal}/{name}.JPG" for name in ("0000", "0001", "0002")), f"{anomaly}/000.JPG")
    put("cashew/Data/Images/Normal/000.JPG")
    place = mark("candle/Data/Masks/Anomaly/000.png", value=1)
    (place / "split_csv").mkdir()
    rows = [
        f"candle,train,normal,{normal}/0002.JPG,",
        f"candle,train,normal,{normal}/0000.JPG,",
        f"candle,test,normal,{normal}/0001.JPG,",
        f"candle,test,anomaly,{anomaly}/000.JPG,candle/Data/Masks/Anomaly/000.png",
        "cashew,train,normal,cashew/Data/Images/Normal/000.JPG,",
    ]
    (place / LIST).write_text("\n".join([COLUMNS, *rows]) + "\n")
    return place


def test_the_list_alone_says_what_is_trained_on(root: Path) -> None:
    samples = read_visa(root, "candle")
    assert [one.name for one in samples.train] == ["0000", "0002"]
    assert {(one.name, one.label) for one in samples.test} == {("0001", 0), ("000", 1)}


def test_classes_in_masks_are_defect(root: Path) -> None:
    images = visa(root, "candle", image_size=SIZE, cache_dir=root / "cache")
    (batch,) = images.test_dataloader()
    assert batch["masks"].flatten(1).sum(1).tolist() == [2 * SIZE[1] * label for label in (1, 0)]
    assert batch["labels"].tolist() == [1, 0]


@pytest.mark.parametrize("inner", ["", "1cls/", "visa_pytorch/"])
def test_the_other_layout_has_masks_that_are_named_like_images(
    inner: str, put: Put, mark: Mark
) -> None:
    put(f"{inner}pcb1/train/good/0000.JPG", f"{inner}pcb1/test/good/0001.JPG")
    put(f"{inner}pcb1/test/bad/000.JPG")
    root = mark(f"{inner}pcb1/ground_truth/bad/000.png")
    samples = read_visa(root, "pcb1")
    assert [(one.defect_type, len(one.masks)) for one in samples.test] == [("bad", 1), ("good", 0)]


def test_an_unknown_category_lists_those_of_the_list(root: Path) -> None:
    with pytest.raises(ValueError, match=r"'candles' in .*1cls\.csv; found: candle, cashew"):
        read_visa(root, "candles")


def test_a_list_without_a_column_says_which(root: Path) -> None:
    (root / LIST).write_text("object,split,label,image\ncandle,train,normal,a.JPG\n")
    with pytest.raises(ValueError, match=r"1cls\.csv lacks the column mask"):
        read_visa(root, "candle")
    (root / LIST).unlink()
    with pytest.raises(FileNotFoundError, match=r"no split_csv/1cls\.csv in"):
        read_visa(root, "candle")


def test_a_list_that_excel_wrote_again_is_read_and_a_damaged_one_is_named(root: Path) -> None:
    text = (root / LIST).read_text()
    (root / LIST).write_text(text, encoding="utf-8-sig")
    assert len(read_visa(root, "candle").train) == 2
    (root / LIST).write_text(text + "candle,train,normal\n")
    with pytest.raises(ValueError, match=r"1cls\.csv, line 7: no image"):
        read_visa(root, "candle")
    (root / LIST).write_bytes(text.encode() + b"candle,train,normal,\xff.JPG,\n")
    with pytest.raises(ValueError, match=r"1cls\.csv is no table: 'utf-8' codec"):
        read_visa(root, "candle")


def test_the_counts_of_the_real_list_are_those_published(assets: Path, tmp_path: Path) -> None:
    place = assets / "data" / "splits" / "visa_1cls.csv"
    (tmp_path / "split_csv").mkdir()
    shutil.copy(place, tmp_path / LIST)
    with place.open(newline="") as file:
        rows = Counter(row["object"] for row in csv.DictReader(file))
    assert rows.keys() == PUBLISHED["visa"].keys()
    for category, published in PUBLISHED["visa"].items():
        samples = read_visa(tmp_path, category)
        defects = sum(one.label for one in samples.test)
        found = Counts(len(samples.train), None, len(samples.test) - defects, defects)
        assert found == published
        assert sum(filter(None, found)) == rows[category]
        assert all(bool(one.masks) == bool(one.label) for one in samples.test)

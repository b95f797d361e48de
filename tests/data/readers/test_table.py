"""Any data set by a table."""

import logging
from pathlib import Path

import pandas as pd
import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.table import read_table, table

TEXT = """image,mask,label,defect_type,split,category,part
a/0.png,,0,,train,nut,
a/1.png,,normal,good,Train,nut,
a/2.png,,0,,validation,nut,
a/3.png,,good,,test,nut,p1
b/0.png,m/0.png;m/1.png,1,dent,test,nut,p2
b/1.png,m/0.png,,hole,train,nut,
c/0.png,,0,,train,bolt,
"""


@pytest.fixture
def listed(put: Put, mark: Mark) -> Path:
    put(*(f"a/{number}.png" for number in range(4)), "b/0.png", "b/1.png", "c/0.png")
    mark("m/0.png", rows=1)
    place = mark("m/1.png", value=7, rows=3)
    (place / "parts.csv").write_text(TEXT)
    return place / "parts.csv"


def test_a_row_says_split_label_type_masks_and_part(
    listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images = table(listed, category="nut", image_size=SIZE, cache_dir=listed.parent / "cache")
    (batch,) = images.test_dataloader()
    assert [one.image.name for one in images.train_samples] == ["0.png", "1.png"]
    assert [one.image.name for one in images.calibration_samples] == ["2.png"]
    assert [(one.label, one.defect_type, one.part) for one in images.test_samples] == [
        *((0, "good", "p1"), (1, "dent", "p2"))
    ]
    assert batch["masks"].flatten(1).sum(1).tolist() == [0, 3 * SIZE[1]]
    assert "left out: 1 defects among the training images" in caplog.text
    assert (images.name, images.category) == ("table", "nut")


def test_validation_images_that_are_tested_on_too_are_said(
    listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listed.open("a") as file:
        file.write("a/2.png,,0,,test,nut,p3\n")
    table(listed, category="nut", image_size=SIZE, cache_dir=listed.parent / "cache").prepare()
    place = listed.parent / "a" / "2.png"
    said = "1 of 1 calibration images are training or test images as well, byte for byte, the first"
    assert caplog.text.count(f"{said} is {place}, as {place}: thresholds") == 1


def test_without_a_category_all_rows_are_taken_and_paths_may_count_from_a_root(
    listed: Path, tmp_path: Path
) -> None:
    (tmp_path / "lists").mkdir()
    moved = listed.rename(tmp_path / "lists" / "parts.csv")
    samples = read_table(moved, root=tmp_path)
    assert len(samples.train) == 3 and all(one.image.is_file() for one in samples.train)
    with pytest.raises(ValueError, match=r"no category 'nutt'; found: bolt, nut"):
        read_table(moved, root=tmp_path, category="nutt")


def test_parquet_says_the_same(listed: Path) -> None:
    frame = pd.read_csv(listed, dtype={"label": "string"})
    frame.to_parquet(listed.with_suffix(".parquet"))
    assert read_table(listed.with_suffix(".parquet"), category="nut") == read_table(
        listed, category="nut"
    )


@pytest.mark.parametrize("whole", [True, False])
def test_numbers_in_parquet_are_labels_too(listed: Path, whole: bool) -> None:
    labels = pd.Series([0, 1], dtype="int64" if whole else "float64")
    frame = pd.DataFrame({"image": ["a/0.png", "b/0.png"], "label": labels, "split": "test"})
    frame.to_parquet(listed.with_suffix(".parquet"))
    found = read_table(listed.with_suffix(".parquet")).test
    assert [(one.label, one.defect_type) for one in found] == [(0, "good"), (1, "defect")]


def test_all_rows_that_cannot_be_used_are_listed(listed: Path) -> None:
    rows = (
        "a/0.png,trian,0,",
        ",train,0,",
        "a,test,maybe,",
        "a,test,0,dent",
        "a,test,,",
        "a,test,1,../x",
    )
    listed.write_text("\n".join(["image,split,label,defect_type", *rows]))
    with pytest.raises(ValueError, match="has rows that cannot be used") as caught:
        read_table(listed)
    for said in (
        "row 2: split must be one of train, test, validation, val, calibration; found 'trian'",
        "row 3: image is empty",
        "row 4: label must be one of good, normal, ok, 0, false, anomaly",
        "row 5: label '0' and defect_type 'dent' contradict each other",
        "row 6: neither label nor defect_type is given",
        "row 7: a defect type is a folder's name, without /; found '../x'",
    ):
        assert said in str(caught.value)


def test_a_row_that_cannot_be_used_has_the_number_of_its_line(listed: Path) -> None:
    listed.write_text("image,split,label\na/0.png,train,0\n\n\na/1.png,trian,0\n")
    with pytest.raises(ValueError, match="row 5: split must be"):
        read_table(listed)
    pd.read_csv(listed, dtype=str).to_parquet(listed.with_suffix(".parquet"))
    with pytest.raises(ValueError, match="row 2: split must be"):
        read_table(listed.with_suffix(".parquet"))


def test_a_missing_column_or_file_is_named(listed: Path) -> None:
    listed.write_text("image,mask\n")
    with pytest.raises(ValueError, match="lacks the column split; found: image, mask"):
        read_table(listed)
    listed.write_text("image,split\n")
    with pytest.raises(ValueError, match="lacks the column label or defect_type"):
        read_table(listed)
    listed.write_bytes(b"image,split,label\n\xff\xfe,train,0\n")
    with pytest.raises(ValueError, match=r"parts\.csv cannot be read as a table"):
        read_table(listed)
    listed.rename(listed.with_suffix(".parquet"))
    with pytest.raises(ValueError, match=r"parts\.parquet cannot be read as a table"):
        read_table(listed.with_suffix(".parquet"))
    with pytest.raises(FileNotFoundError, match=r"no table nowhere\.csv"):
        read_table(Path("nowhere.csv"))


def test_a_home_that_is_not_known_is_said(listed: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"~nobody-of-that-name.*: no home folder"):
        table("~nobody-of-that-name/a.csv")
    with pytest.raises(FileNotFoundError, match="no home folder"):
        read_table(listed, root="~nobody-of-that-name")

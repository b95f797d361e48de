"""KolektorSDD and KolektorSDD2: labels come from masks, items stay together."""

import logging
from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.images import DataError
from rdad.data.readers.kolektor import kolektor_sdd, kolektor_sdd2, read_kolektor_sdd


@pytest.fixture
def items(put: Put, mark: Mark) -> Path:
    """Four items of eight images, of which Part2 is defective; Part7 of kos21 the authors skip."""
    for item in ("kos01", "kos02", "kos21", "kos50"):
        put(*(f"{item}/Part{part}.jpg" for part in range(8)), mode="L")
        mark(*(f"{item}/Part{part}_label.bmp" for part in range(8) if part != 2), value=0)
        place = mark(f"{item}/Part2_label.bmp", value=1)
    return place


def test_an_item_is_trained_on_or_tested_on_and_labels_come_from_masks(
    items: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    samples = read_kolektor_sdd(items, "kolektor_sdd", holdout=0.5, split_seed=1)
    trained, tested = ({one.part for one in part} for part in (samples.train, samples.test))
    assert len(trained) == len(tested) == 2 and not trained & tested
    assert [one.image.stem for one in samples.test if one.label] == ["Part2", "Part2"]
    assert not any(one.masks for one in samples.test if not one.label)
    assert not any(one.label for one in samples.train)
    assert "left out: 2 defects among the training images" in caplog.text
    found = {(one.part, one.image.stem) for one in (*samples.train, *samples.test)}
    assert ("kos21", "Part7") not in found and ("kos01", "Part7") in found


def test_names_of_tested_images_are_unique_and_items_have_numbers(items: Path) -> None:
    images = kolektor_sdd(items, image_size=SIZE, calibration=0.5, cache_dir=items / "cache")
    images.prepare()
    assert len({(one.defect_type, one.name) for one in images.test_samples}) == len(
        images.test_samples
    )
    assert images.test_parts is not None
    numbers = dict(zip(images.test_parts.tolist(), images.test_samples, strict=True))
    assert len(numbers) == len({one.part for one in images.test_samples}) == 2


def test_held_back_images_are_of_other_items_than_those_trained_on(items: Path) -> None:
    images = kolektor_sdd(items, image_size=SIZE, calibration=0.5, cache_dir=items / "cache")
    images.prepare()
    trained = {one.part for one in images.train_samples}
    held = {one.part for one in images.calibration_samples}
    assert len(trained) == len(held) == 1 and trained != held


def test_sdd2_keeps_its_split_and_leaves_strays_and_trained_defects_out(
    put: Put, mark: Mark, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    put(*(f"KolektorSDD2/train/{number}.png" for number in (10000, 10001, 10301)))
    put("KolektorSDD2/train/10301 (copy).png", "KolektorSDD2/train/10301_GT (copy).png")
    put("KolektorSDD2/test/20000.png", "KolektorSDD2/test/20001.png")
    mark("KolektorSDD2/train/10001_GT.png", "KolektorSDD2/test/20001_GT.png")
    good = ("train/10000", "train/10301", "test/20000")
    root = mark(*(f"KolektorSDD2/{name}_GT.png" for name in good), value=0)
    images = kolektor_sdd2(root, image_size=SIZE, cache_dir=root / "cache")
    images.prepare()
    assert [one.name for one in images.train_samples] == ["10000", "10301"]
    assert [(one.name, one.label) for one in images.test_samples] == [("20000", 0), ("20001", 1)]
    assert "left out: 1 defects among the training images" in caplog.text
    assert "not used: 2 files without a partner <stem>_GT" in caplog.text
    assert "kolektor_sdd2: 2 of 2085 published training images found" in caplog.text


def test_masks_that_cannot_be_read_are_listed(items: Path) -> None:
    (items / "kos01/Part0_label.bmp").write_bytes(b"")
    (items / "kos02/Part0_label.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match="2 files that cannot be used") as caught:
        read_kolektor_sdd(items, "kolektor_sdd")
    assert "kos01/Part0_label.bmp: empty file" in str(caught.value)


def test_a_root_without_items_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected kos01/Part0\.jpg"):
        read_kolektor_sdd(tmp_path, "kolektor_sdd")

"""MVTec AD 2: equal names in good and bad, private tests, a validation split."""

import logging
from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.mvtec_ad_2 import mvtec_ad_2, read_mvtec_ad_2


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    base = "mvtec_ad_2/can"
    put(*(f"{base}/train/good/{number:03}_regular.png" for number in range(3)))
    put(f"{base}/validation/good/000_regular.png")
    names = ("000_regular", "000_overexposed", "001_shift_1")
    put(*(f"{base}/test_public/{kind}/{name}.png" for kind in ("good", "bad") for name in names))
    put(f"{base}/test_private/000_regular.png", f"{base}/test_private/001_regular.png")
    put(f"{base}/test_private_mixed/000_mixed.png")
    place = mark(*(f"{base}/test_public/ground_truth/bad/{name}_mask.png" for name in names))
    return place / "mvtec_ad_2"


def test_only_the_public_test_is_tested_on_and_the_private_ones_are_counted(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    samples = read_mvtec_ad_2(root, "can")
    assert [len(part) for part in (samples.train, samples.test, samples.calibration)] == [3, 6, 1]
    assert {one.image.parts[-3] for one in samples.test} == {"test_public"}
    assert "test_private with 2 images" in caplog.text
    assert "test_private_mixed with 1 images" in caplog.text


def test_equal_names_in_good_and_bad_stay_apart_and_masks_are_of_the_bad_ones(root: Path) -> None:
    test = read_mvtec_ad_2(root, "can").test
    assert len({(one.defect_type, one.name) for one in test}) == 6
    assert {one.name for one in test if one.label} == {one.name for one in test if not one.label}
    assert all(one.mask is None for one in test if not one.label)
    masks = {one.name: one.mask.name for one in test if one.mask}
    assert masks["000_overexposed"] == "000_overexposed_mask.png" and len(masks) == 3


def test_the_folder_of_the_archive_may_be_the_root_or_lie_in_it(root: Path) -> None:
    assert read_mvtec_ad_2(root.parent, "can") == read_mvtec_ad_2(root, "can")
    with pytest.raises(ValueError, match=r"no category 'cam' in .*mvtec_ad_2; found: can"):
        read_mvtec_ad_2(root, "cam")
    with pytest.raises(FileNotFoundError, match=r"expected <category>/{train/good, validation"):
        read_mvtec_ad_2(root / "can" / "train", "can")


def test_other_counts_than_published_are_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    mvtec_ad_2(root, "can", image_size=SIZE, cache_dir=root / "cache").prepare()
    assert "can: 3 of 412 published training images found" in caplog.text
    assert "can: 1 of 46 published validation images found" in caplog.text
    assert "can: 3 of 72 published good test images found" in caplog.text
    assert "can: 3 of 90 published defective test images found" in caplog.text

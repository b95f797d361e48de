"""MVTec LOCO AD and AutoVI: a folder of masks for each defective image."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.mvtec_loco import autovi, mvtec_loco, read_mvtec_loco


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    put(*(f"box/train/good/{number:03}.png" for number in range(4)))
    put("box/validation/good/000.png", "box/validation/good/001.png", "box/test/good/000.png")
    put("box/test/logical_anomalies/000.png", "box/test/structural_anomalies/000.png")
    mark("box/ground_truth/logical_anomalies/000/000.png", value=3, rows=1)
    mark("box/ground_truth/logical_anomalies/000/001.png", value=200, rows=0)
    mark("box/ground_truth/structural_anomalies/000/000.png", value=255)
    place = mark("box/ground_truth/logical_anomalies/000/002.png", value=130, rows=3)
    (place / "box/defects_config.json").write_text("[]")
    return place


def test_all_masks_of_an_images_folder_are_its_masks(root: Path) -> None:
    samples = read_mvtec_loco(root, "box")
    logical, structural = (one for one in samples.test if one.label)
    assert [path.name for path in logical.masks] == ["000.png", "001.png", "002.png"]
    assert [path.parent.parent.name for path in structural.masks] == ["structural_anomalies"]
    assert [one.defect_type for one in samples.test] == [
        *("good", "logical_anomalies", "structural_anomalies")
    ]


def test_the_union_of_its_masks_is_defect_whatever_values_mark_it(root: Path) -> None:
    images = mvtec_loco(root, "box", image_size=SIZE, cache_dir=root / "cache")
    (batch,) = images.test_dataloader()
    rows = batch["masks"][:, 0].all(2).sum(1).tolist()
    assert rows == [0, 3, 2]
    assert batch["masks"].sum().item() == 5 * SIZE[1]


def test_thresholds_are_for_the_validation_images_and_none_are_drawn(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images = mvtec_loco(root, "box", image_size=SIZE, calibration=0.5, cache_dir=root / "cache")
    images.prepare()
    assert len(images.train_samples) == 4
    assert {one.image.parent.parent.name for one in images.calibration_samples} == {"validation"}
    assert len(images.calibration_sizes) == 2 and images.calibration_pixels == (np.prod(SIZE),) * 2
    (batch,) = images.calibration_dataloader()
    assert batch["images"].shape == (2, 3, *SIZE) and not batch["labels"].any()
    assert "the data set's own validation images, so none are drawn" in caplog.text


def test_autovi_has_the_same_layout_without_a_validation_split(put: Put, mark: Mark) -> None:
    put("clip/train/good/a.png", "clip/train/good/b.png", "clip/test/good/c.png")
    put("clip/test/operator/0000.png")
    root = mark("clip/ground_truth/operator/0000/0000.png")
    images = autovi(root, "clip", image_size=SIZE, calibration=0.5, cache_dir=root / "cache")
    images.prepare()
    assert (images.name, images.defect_types, images.has_masks) == ("autovi", ("operator",), True)
    assert (len(images.train_samples), len(images.calibration_samples)) == (1, 1)


def test_a_folder_without_masks_for_any_defect_is_a_mistake(root: Path) -> None:
    (root / "box/ground_truth").rename(root / "moved")
    with pytest.raises(FileNotFoundError, match="none of 2 defective images has a mask"):
        read_mvtec_loco(root, "box")


def test_masks_beside_each_other_are_told_where_they_belong(root: Path) -> None:
    masks = root / "box/ground_truth"
    for kind in ("logical_anomalies", "structural_anomalies"):
        (masks / kind / "000" / "000.png").rename(masks / kind / "000_mask.png")
        shutil.rmtree(masks / kind / "000")
    with pytest.raises(FileNotFoundError, match=r"logical_anomalies/000/000\.png$"):
        read_mvtec_loco(root, "box")

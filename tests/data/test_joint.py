"""Several categories as one data module, over two small ones in MVTec AD's layout."""

import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdad.data import AnomalyDataModule, DataError, folder, mvtec_ad
from rdad.data.joint import label
from rdad.data.readers.table import table
from rdad.data.readers.vad import vad

Write = Callable[..., Path]
Make = Callable[..., AnomalyDataModule]


@pytest.fixture
def make(mvtec_root: Path, write_image: Write, write_mask: Write) -> Make:
    """Beside nut the category bolt: 11 training images, test images 1 bent, 1 good, 1 long."""
    for index in range(11):
        write_image(f"bolt/train/good/{index:03}.png")
    write_image("bolt/test/good/000.png")
    for kind in ("bent", "long"):
        write_image(f"bolt/test/{kind}/000.png")
        write_mask(f"bolt/ground_truth/{kind}/000_mask.png")

    def build(*categories: str, **changes: Any) -> AnomalyDataModule:
        defaults = {"image_size": (8, 6), "batch_size": 4, "cache_dir": mvtec_root / "cache"}
        given = {"joint": True, **defaults, **changes}
        made = mvtec_ad(mvtec_root, categories or ("nut", "bolt"), **given)
        made.prepare()
        return made

    return build


def test_all_images_are_there_in_the_order_of_the_categories(make: Make) -> None:
    joint = make()
    assert joint.category == "nut+bolt" and joint.categories == ("nut", "bolt")
    assert [one.category for one in joint.train_samples] == ["nut"] * 5 + ["bolt"] * 11
    assert [one.category for one in joint.test_samples] == ["nut"] * 7 + ["bolt"] * 3
    assert joint.test_categories is not None
    assert joint.test_categories.tolist() == [0] * 7 + [1] * 3
    assert joint.defect_types == ("bent", "long", "scratch")
    assert make("bolt", "nut").content_digest != joint.content_digest


def test_an_epoch_shuffles_the_categories_together(make: Make) -> None:
    joint = make()
    order = [row for batch in joint.train_dataloader() for row in batch["indices"].tolist()]
    places = [joint.train_samples[row].category for row in order]
    assert sorted(order) == list(range(16)) and places != sorted(places, reverse=True)
    assert len(set(places[:8])) == 2


def test_shares_are_drawn_within_each_category(make: Make) -> None:
    joint = make(calibration=0.2, validation="split", validation_fraction=0.2)
    held = (joint.val_samples, joint.calibration_samples, joint.train_samples)
    found = [Counter(one.category for one in samples) for samples in held]
    assert found == [{"nut": 1, "bolt": 2}, {"nut": 1, "bolt": 2}, {"nut": 3, "bolt": 7}]
    alone = make("bolt", calibration=0.2, validation="split", validation_fraction=0.2)
    names = [one.name for one in joint.calibration_samples if one.category == "bolt"]
    assert names == [one.name for one in alone.calibration_samples]


def test_one_category_alone_has_none(mvtec_root: Path) -> None:
    alone = mvtec_ad(mvtec_root, "nut", image_size=(8, 6), cache_dir=mvtec_root / "cache")
    alone.prepare()
    assert alone.categories == () and alone.test_categories is None
    assert {one.category for one in alone.test_samples} == {""}


def test_tiles_of_several_categories_are_trained_on(make: Make) -> None:
    joint = make(tile=(8, 8), calibration=0.2)
    assert joint.train_length == 4 * (4 + 9) and len(joint.test_sizes) == 10


def test_a_module_goes_to_another_process(make: Make, mvtec_root: Path) -> None:
    given = {"image_size": (8, 6), "cache_dir": mvtec_root / "cache", "joint": True}
    again = pickle.loads(pickle.dumps(mvtec_ad(mvtec_root, ["nut", "bolt"], **given)))
    again.prepare()
    assert len(again.train_samples) == 16


def test_where_a_category_is_only_a_name_there_is_nothing_to_join(
    write_image: Write, tmp_path: Path
) -> None:
    for place in ("train/good", "train/bad", "test/good", "test/bad"):
        write_image(f"{place}/0.png")
    module = vad(tmp_path, ["a", "b"], joint=True, cache_dir=tmp_path / "cache")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"a and b have the same images, as .*/train/good/0\.png"):
        module.prepare()


@pytest.mark.parametrize(
    ("category", "joint", "message"),
    [
        (["nut", "bolt"], False, "category is a list, nut, bolt: one network for all of them"),
        ("nut", True, "joint takes a list of different categories, .*; found 'nut'"),
        (["nut", "nut"], True, r"found \['nut', 'nut'\]"),
        ([], True, r"found \[\]"),
        (["nut", "../x"], True, "category must be a folder's name, without /"),
    ],
)
def test_a_list_and_joint_go_together(
    tmp_path: Path, category: Any, joint: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mvtec_ad(tmp_path, category, joint=joint)


def test_many_names_are_counted() -> None:
    assert label(["a", "b"]) == "a+b" and label([f"category {n}" for n in range(9)]) == "joint of 9"


def test_categories_of_a_table_are_joined(mvtec_root: Path) -> None:
    rows = [
        f"{path.relative_to(mvtec_root)},{path.parent.name},{path.parts[-3]},{category}"
        for path in sorted(mvtec_root.glob("nut/t*/*/*.png"))
        for category in ["odd" if path.stem in {"001", "003"} else "even"]
    ]
    file = mvtec_root / "parts.csv"
    file.write_text("\n".join(["image,defect_type,split,category", *rows]))
    given = {"image_size": (8, 6), "cache_dir": mvtec_root / "cache", "joint": True}
    joint = table(file, category=["odd", "even"], **given)
    joint.prepare()
    assert Counter(one.category for one in joint.train_samples) == {"odd": 2, "even": 3}
    assert joint.name == "table" and joint.category == "odd+even"
    with pytest.raises(ValueError, match="joint takes a data set with categories"):
        table(file, **given)
    with pytest.raises(ValueError, match="joint takes a data set with categories"):
        folder(mvtec_root, "nut/train/good", **given)


def test_of_two_categories_one_may_have_no_masks(make: Make, mvtec_root: Path) -> None:
    shutil.rmtree(mvtec_root / "bolt/ground_truth")
    joint = make()
    assert {one.category for one in joint.test_samples if one.mask} == {"nut"}
    (mvtec_root / "nut/ground_truth/bent/000_mask.png").unlink()
    with pytest.raises(DataError, match=r"nut/test/bent/000\.png: no mask for this defect"):
        make()

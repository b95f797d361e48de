"""Real-IAD: split and labels by JSON, five views of an item, sizes and nestings."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.real_iad import read_real_iad, real_iad
from rdad.results.evaluation import metrics_for


def rows(part: str, views: int, bad: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """An item's views; of a defective one some show no defect."""
    kind = part.split("/")[1] if part.startswith("NG") else "OK"
    found = []
    for view in range(1, views + 1):
        stem = f"{part}/toy_0001_{kind}_C{view}_20230922"
        shown = kind if view in bad else "OK"
        mask = f"{stem}_mask.png" if view in bad else None
        row = {"category": "toy", "anomaly_class": shown, "image_path": f"{stem}.jpg"}
        found.append(row | {"mask_path": mask})
    return found


LIST = {
    "meta": {"prefix": "toy/", "normal_class": "OK"},
    "train": [*rows("OK/S0001", 2), *rows("OK/S0002", 2)],
    "test": [*rows("OK/S0003", 2), *rows("NG/AK/S0001", 3, bad=(2, 3))],
}


@pytest.fixture
def root(put: Put, mark: Mark, tmp_path: Path) -> Path:
    for row in (*LIST["train"], *LIST["test"]):
        put(f"realiad_256/toy/{row['image_path']}")
        if row["mask_path"]:
            mark(f"realiad_256/toy/{row['mask_path']}")
    (tmp_path / "realiad_jsons").mkdir()
    (tmp_path / "realiad_jsons" / "toy.json").write_text(json.dumps(LIST))
    return tmp_path


def test_views_without_a_defect_are_good_and_know_their_item(root: Path) -> None:
    samples = read_real_iad(root, "toy")
    assert [one.part for one in samples.train] == ["OK/S0001"] * 2 + ["OK/S0002"] * 2
    found = [(one.part, one.defect_type, len(one.masks)) for one in samples.test]
    assert found == [
        *[("OK/S0003", "good", 0)] * 2,
        ("NG/AK/S0001", "good", 0),
        *[("NG/AK/S0001", "AK", 1)] * 2,
    ]


def test_an_item_is_scored_by_its_worst_view(root: Path) -> None:
    images = real_iad(root, "toy", image_size=SIZE, cache_dir=root / "cache")
    (batch,) = images.test_dataloader()
    assert images.test_parts is not None and images.test_parts.tolist() == [0, 0, 1, 1, 1]
    scores = batch["labels"].float().new_tensor([0.5, 0.2, 0.1, 0.3, 0.6])
    metrics = metrics_for(images)
    given = {"maps": batch["masks"] * 1.0, "masks": batch["masks"]}
    types, parts = batch["defect_types"], images.test_parts
    metrics.update(scores=scores, labels=batch["labels"], defect_types=types, parts=parts, **given)
    figures = metrics.compute()
    assert figures["part_auroc"] == 1
    assert figures["image_auroc"] == pytest.approx(5 / 6)


def test_lists_are_found_flat_or_nested_and_images_with_or_without_the_prefix(root: Path) -> None:
    flat = read_real_iad(root, "toy")
    (root / "realiad_jsons" / "toy.json").rename(root / "moved.json")
    (root / "realiad_jsons" / "realiad_jsons").mkdir()
    (root / "moved.json").rename(root / "realiad_jsons" / "realiad_jsons" / "toy.json")
    assert read_real_iad(root, "toy") == flat
    nested = root / "realiad_256" / "toy"
    nested.rename(root / "realiad_256" / "aside")
    (root / "realiad_256" / "aside" / "OK").rename(root / "realiad_256" / "OK")
    (root / "realiad_256" / "aside" / "NG").rename(root / "realiad_256" / "NG")
    assert all(one.image.is_file() for one in read_real_iad(root, "toy").test)


def test_of_several_sizes_one_has_to_be_named(root: Path, put: Put) -> None:
    put("realiad_1024/toy/OK/S0001/a.jpg")
    with pytest.raises(ValueError, match="several sizes: realiad_1024, realiad_256; name one"):
        read_real_iad(root, "toy")
    assert len(read_real_iad(root / "realiad_256", "toy").train) == 4


def test_defects_among_the_training_images_are_left_out(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    noisy = LIST | {"train": [*LIST["train"], LIST["test"][-1]]}
    (root / "realiad_jsons" / "toy.json").write_text(json.dumps(noisy))
    assert len(read_real_iad(root, "toy").train) == 4
    assert "left out: 1 defects among the training images" in caplog.text


def test_a_defect_type_that_is_no_folders_name_is_refused(root: Path) -> None:
    row = LIST["test"][-1] | {"anomaly_class": "../../x"}
    (root / "realiad_jsons" / "toy.json").write_text(json.dumps(LIST | {"test": [row]}))
    with pytest.raises(ValueError, match="a folder's name, without /"):
        read_real_iad(root, "toy")


@pytest.mark.parametrize("content", ["[]", "{}", '{"train": [], "test": [{}]}', "{", "[" * 99999])
def test_what_is_no_list_is_named(root: Path, content: str) -> None:
    (root / "realiad_jsons" / "toy.json").write_text(content)
    with pytest.raises(ValueError, match=r"toy\.json is no list of Real-IAD"):
        read_real_iad(root, "toy")


def test_a_category_without_a_list_is_told_with_those_that_are_there(root: Path) -> None:
    with pytest.raises(ValueError, match=r"no category 'toi' in .*realiad_jsons; found: toy"):
        read_real_iad(root, "toi")
    (root / "realiad_jsons" / "toy.json").unlink()
    with pytest.raises(FileNotFoundError, match="expected realiad_1024/<category>/ beside"):
        read_real_iad(root, "toy")


def test_the_lists_beside_the_current_folder_are_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "realiad_256")
    assert len(read_real_iad(Path(), "toy").train) == 4

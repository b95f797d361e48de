"""Data sets in MVTec AD's layout under names of their own."""

from collections.abc import Callable

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data import AnomalyDataModule
from rdad.data.readers.mvtec_layout import goodsad, mpdd


@pytest.mark.parametrize("constructor", [mpdd, goodsad])
def test_the_layout_is_read_also_from_a_folder_inside_the_root(
    constructor: Callable[..., AnomalyDataModule], put: Put, mark: Mark
) -> None:
    put("set/tubes/train/good/000001.png", "set/tubes/test/good/000002.png")
    put("set/tubes/test/bent/000002.png")
    root = mark("set/tubes/ground_truth/bent/000002_mask.png")
    images = constructor(root, "tubes", image_size=SIZE, cache_dir=root / "cache")
    images.prepare()
    assert images.name == constructor.__name__
    assert [(one.defect_type, len(one.masks)) for one in images.test_samples] == [
        *(("bent", 1), ("good", 0))
    ]

"""Counts as published: their sums are the papers' totals, and the real files at hand have them."""

from pathlib import Path

import pytest

from rdad.data.layouts import read_mvtec_ad
from rdad.data.readers.published import PUBLISHED, warn_of_counts

TOTALS = {  # training, validation, good and defective test images, over all categories
    "mvtec_ad": (15, 3629, 0, 467, 1258),
    "mvtec_ad_2": (8, 2528, 302, 379, 705),
    "mvtec_loco": (5, 1778, 305, 575, 561 + 432),
    "mvtec_3d": (10, 2656, 294, 249, 948),
    "visa": (12, 8659, 0, 962, 1200),
    "mpdd": (6, 888, 0, 176, 282),
    "goodsad": (6, 3136, 0, 1328, 1660),
    "btad": (3, 1799, 0, 451, 290),
    "vad": (1, 2000, 0, 1000, 1000),
    "kolektor_sdd2": (1, 2085, 0, 894, 110),
}


@pytest.mark.parametrize("name", TOTALS)
def test_the_categories_add_up_to_the_published_totals(name: str) -> None:
    rows = PUBLISHED[name].values()
    sums = [sum(filter(None, column)) for column in zip(*rows, strict=True)]
    assert (len(rows), *sums) == TOTALS[name]


def test_the_real_screws_are_complete_and_the_real_toothbrushes_are_not(
    assets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = assets / "data" / "mvtec_ad"
    warn_of_counts("mvtec_ad", "screw", read_mvtec_ad(root, "screw"))
    assert caplog.text == ""
    warn_of_counts("mvtec_ad", "toothbrush", read_mvtec_ad(root, "toothbrush"))
    assert "toothbrush: 48 of 60 published training images found" in caplog.text
    assert len(caplog.records) == 1


def test_a_category_of_ones_own_has_no_published_counts(
    assets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_counts("mvtec_ad", "nut", read_mvtec_ad(assets / "data" / "mvtec_ad", "toothbrush"))
    assert caplog.text == ""

"""BTAD: ok and ko, and masks with an ending of their own."""

from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.btad import btad, read_btad


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    base, names = "BTech_Dataset_transformed", ("train/ok/0000", "test/ok/0001", "test/ko/0001")
    put(*(f"{base}/{category}/{name}.bmp" for category in ("01", "03") for name in names))
    mark(f"{base}/03/ground_truth/ko/0001.bmp")
    return mark(f"{base}/01/ground_truth/ko/0001.png")


@pytest.mark.parametrize(("category", "ending"), [("01", ".png"), ("03", ".bmp")])
def test_masks_are_found_by_stem_whatever_their_ending(
    root: Path, category: str, ending: str
) -> None:
    images = btad(root, category, image_size=SIZE, cache_dir=root / "cache")
    images.prepare()
    good, ko = images.test_samples
    assert (good.label, good.mask, ko.label) == (0, None, 1)
    assert ko.mask is not None and ko.mask.name == f"0001{ending}"
    assert (images.category, images.defect_types) == (category, ("ko",))


def test_the_folder_of_the_archive_may_be_the_root_or_lie_in_it(root: Path) -> None:
    inner = root / "BTech_Dataset_transformed"
    assert read_btad(inner, "01") == read_btad(root, "01")
    with pytest.raises(ValueError, match=r"no category '02' in .*; found: 01, 03"):
        read_btad(root, "02")

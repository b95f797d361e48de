"""MVTec 3D-AD: colour images, and masks inside the test folders."""

from pathlib import Path

import pytest
from small_trees import SIZE, Mark, Put

from rdad.data.readers.mvtec_3d import mvtec_3d


@pytest.fixture
def root(put: Put, mark: Mark) -> Path:
    for split in ("train", "validation", "test"):
        put(f"bagel/{split}/good/rgb/000.png", f"bagel/{split}/good/xyz/000.tiff")
        mark(f"bagel/{split}/good/gt/000.png", value=0)
    put("bagel/test/hole/rgb/000.png", "bagel/test/hole/xyz/000.tiff")
    return mark("bagel/test/hole/gt/000.png")


def test_colour_images_alone_are_taken_and_black_masks_of_good_ones_are_none(root: Path) -> None:
    images = mvtec_3d(root, "bagel", image_size=SIZE, cache_dir=root / "cache")
    images.prepare()
    samples = (images.train_samples, images.calibration_samples, images.test_samples)
    assert [len(part) for part in samples] == [1, 1, 2]
    assert {one.image.parent.name for part in samples for one in part} == {"rgb"}
    good, hole = images.test_samples
    assert (good.masks, hole.masks) == ((), (root / "bagel/test/hole/gt/000.png",))

"""Small data sets: one of noise in the layout of MVTec AD, and the first files of real ones."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64


def make_category(folder: Path) -> None:
    """Eight normal images, two good ones to test and two with a hole and its mask."""
    random = np.random.default_rng(0)
    for place, count in (("train/good", 8), ("test/good", 2), ("test/hole", 2)):
        (folder / place).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{number:03}.png")
    masks = folder / "ground_truth" / "hole"
    masks.mkdir(parents=True)
    for number in range(2):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[8:24, 8:24] = 255
        Image.fromarray(mask).save(masks / f"{number:03}_mask.png")


def link_few(images: Path, place: Path, most: int = 12) -> None:
    """The first files of each folder below `images`, as links in the same folders of `place`."""
    for folder in sorted(path for path in images.rglob("*") if path.is_dir()):
        few = sorted(path for path in folder.iterdir() if path.is_file())[:most]
        (place / folder.relative_to(images)).mkdir(parents=True)
        for path in few:
            (place / path.relative_to(images)).symlink_to(path)

"""Small images and folder trees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


@pytest.fixture
def write_image(tmp_path: Path) -> Write:
    """Write a random 8-bit image under tmp_path: write_image("a/b.png", mode="L", size=(h, w))."""
    generator = np.random.default_rng(0)

    def write(name: str, *, mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return write


@pytest.fixture
def write_deep(tmp_path: Path) -> Write:
    """Write a 16-bit grey image whose pixels are random up to `highest`: write_deep("a.png", 4095).

    The file's name decides the pixels, and one of them is the highest.
    """

    def write(name: str, highest: int, *, size: tuple[int, int] = (12, 10)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(list(name.encode()))
        pixels = generator.integers(0, highest + 1, size, np.uint16)
        pixels[0, 0] = highest
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def write_mask(tmp_path: Path) -> Write:
    """Write a mask under tmp_path whose upper left quarter is `value`."""

    def write(name: str, *, value: int = 255, size: tuple[int, int] = (12, 10)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros(size, np.uint8)
        pixels[: size[0] // 2, : size[1] // 2] = value
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def mvtec_root(tmp_path: Path, write_image: Write, write_mask: Write) -> Path:
    """A tree in MVTec AD's layout: category nut with 5 training and 2 + 3 + 2 test images."""
    for index in range(5):
        write_image(f"nut/train/good/{index:03}.png")
    for index in range(2):
        write_image(f"nut/test/good/{index:03}.png")
    for kind, count in (("scratch", 3), ("bent", 2)):
        for index in range(count):
            write_image(f"nut/test/{kind}/{index:03}.png")
            write_mask(f"nut/ground_truth/{kind}/{index:03}_mask.png")
    return tmp_path

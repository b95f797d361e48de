"""Files of the public data sets' trees: a few pixels each, in the exact layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_trees import SIZE, Mark, Put


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write images under tmp_path, each other pixels: put("a/0.png", "a/1.png", mode="L")."""
    generator = np.random.default_rng(0)

    def write(*names: str, mode: str = "RGB") -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (*SIZE, 3), np.uint8)
            Image.fromarray(pixels).convert(mode).save(path)
        return tmp_path

    return write


@pytest.fixture
def mark(tmp_path: Path) -> Mark:
    """Write masks whose upper rows have a value: mark("a/0.png", value=3, rows=2)."""

    def write(*names: str, value: int = 255, rows: int = 2) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros(SIZE, np.uint8)
            pixels[:rows] = value
            Image.fromarray(pixels).save(path)
        return tmp_path

    return write

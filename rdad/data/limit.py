"""How many pixels an image may have: a few kilobytes of a file can hold gigabytes."""

import os
from contextlib import suppress
from pathlib import Path

from PIL import Image

from rdad.runs.files import irregular

LIMIT = "RDAD_MAX_PIXELS"
"""Environment variable: the most pixels of an image, and of all that are in work at once."""
DEFAULT_LIMIT = 100_000_000


def most_pixels() -> int:
    """What RDAD_MAX_PIXELS says; where that is more than Pillow allows, Pillow is told as well.

    Raises:
        ValueError: it says something else than a whole number, 1 or more.
    """
    said = os.environ.get(LIMIT)
    if not said:
        return DEFAULT_LIMIT
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"{LIMIT}={said}; allowed: a whole number, 1 or more")
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, int(said))
    return int(said)


def pixels_said(path: Path) -> int:
    """How many pixels a file says it has, before it is decoded; 0 where it says nothing."""
    with suppress(Exception):  # what is wrong with it is said when it is read
        if not irregular(path):
            with Image.open(path) as image:
                return image.width * image.height
    return 0

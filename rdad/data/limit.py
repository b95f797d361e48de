"""How many pixels an image may have: a few kilobytes of a file can hold gigabytes."""

import math
import os
from contextlib import suppress
from pathlib import Path

from PIL import Image

from rdad.runs.files import irregular

LIMIT = "RDAD_MAX_PIXELS"
"""Environment variable: the most pixels of an image, and of all that are in work at once."""
DEFAULT_LIMIT = 100_000_000
BYTES_A_PIXEL = 8  # of the largest that is read, four channels of 16 bits
ANY_FILE_BYTES = 2**26  # metadata and other pages may take more than the pixels of a small image


def most_pixels() -> int:
    """What RDAD_MAX_PIXELS says; Pillow, which warns of fewer, is told as well.

    Raises:
        ValueError: it says something else than a whole number, 1 or more.
    """
    said = os.environ.get(LIMIT) or str(DEFAULT_LIMIT)
    if not said.isdecimal() or int(said) < 1:
        raise ValueError(f"{LIMIT}={said}; allowed: a whole number, 1 or more")
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, int(said))
    return int(said)


def too_large(file_bytes: int) -> str | None:
    """What to say of a file that is larger than any image that is allowed; None of another.

    It is known before the file is read, which takes as much memory.
    """
    limit = most_pixels()
    if file_bytes <= max(BYTES_A_PIXEL * limit, ANY_FILE_BYTES):
        return None
    return (
        f"{file_bytes:,} bytes, more than an image of {limit:,} pixels has; the environment "
        f"variable {LIMIT}={math.ceil(file_bytes / BYTES_A_PIXEL)} allows it"
    )


def pixels_said(path: Path) -> int:
    """How many pixels a file says it has, before it is decoded; 0 where it says nothing."""
    with suppress(Exception):  # what is wrong with it is said when it is read
        if not irregular(path):
            with Image.open(path) as image:
                return image.width * image.height
    return 0

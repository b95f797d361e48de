"""What image files are besides their pixels: seen where they are decoded, and told once."""

import logging
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

log = logging.getLogger(__name__)

DARK = (
    "%d images of 16 bits keep 16 grey levels at most, the first is %s: read with fewer bits "
    "(dataset.bits, or bits= of predict) they keep more"
)
TURNED = "%d files are turned or mirrored as their EXIF orientation says, the first is %s"
DARK_COLOURS = (
    "%d colour images of 16 bits keep 16 levels of each colour at most, the first is %s: save them "
    "with 8 bits"
)
PAGED = "of %d files with several pages or frames the first one alone is read, as of %s"
TURNING = range(2, 9)  # EXIF orientations that a viewer turns or mirrors by; 1 is upright


class Facts(NamedTuple):
    """What is known of a file.

    Attributes:
        brightest: The highest value in 16-bit grey; 0 for any other file.
        turned: Whether its EXIF orientation turns or mirrors it.
        paged: Whether it has several pages or frames, of which the first is read.
        dark_colours: Whether it has colours of 16 bits, of which Pillow gives the upper 8, and 16
            levels at most are left.
    """

    brightest: int = 0
    turned: bool = False
    paged: bool = False
    dark_colours: bool = False


NOTHING = Facts()


def has_pages(image: Image.Image) -> bool:
    """Whether there is a second page or frame. To ask loses what was loaded of some formats."""
    with suppress(Exception):  # a page that is damaged is not read either
        return bool(getattr(image, "is_animated", False))
    return False


def has_16_bits(image: Image.Image) -> bool:
    """Whether the file's values do, as long as it is not loaded."""
    return any(";16" in str(part) for part in getattr(image, "tile", ()))


def facts_of(image: Image.Image, *, paged: bool, deep: bool) -> Facts:
    """Of a file that Pillow has loaded, before it is turned; `deep` as `has_16_bits`."""
    brightest = int(np.asarray(image).max()) if image.mode.startswith("I") else 0
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in TURNING
    coloured = deep and not image.mode.startswith("I")
    dark = coloured and max(np.ravel(image.convert("RGB").getextrema())) < 16
    return Facts(brightest, turned, paged, bool(dark))


class Seen:
    """Counts the files of which something is to be told, and keeps the first of each kind.

    Args:
        bits: How many of its bits a 16-bit grey file uses.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._first: dict[str, Path] = {}
        self._counts: Counter[str] = Counter()

    def add(self, path: Path, facts: Facts) -> None:
        dark = 0 < facts.brightest < 1 << (self._bits - 4)
        seen = {DARK: dark, DARK_COLOURS: facts.dark_colours}
        seen |= {TURNED: facts.turned, PAGED: facts.paged}
        for kind in filter(seen.get, seen):
            self._first.setdefault(kind, path)
            self._counts[kind] += 1

    def tell(self) -> None:
        """A warning of each kind that was there."""
        for kind, count in self._counts.items():
            log.warning(kind, count, self._first[kind])

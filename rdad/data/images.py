"""Where a file becomes pixels: images as 8-bit RGB, masks as booleans.

Decisions, the same for training and prediction:
- What a viewer shows is what counts: EXIF orientation is applied, to images and to masks.
- Transparent pixels are composited over black, so that hidden colours have no influence.
- 16-bit grey becomes 8-bit by its high byte, never by clipping or stretching; where a data set's
  files use fewer bits, by the upper 8 of these, see `rdad.data.depth`.
- Of a file with several frames or pages, the first is read.
- JPEG files are decoded whole: at a reduced size (`Image.draft`) other pixels would come out.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rdad.data.depth import FULL, upper_byte
from rdad.data.facts import Facts, facts_of, has_16_bits, has_pages
from rdad.data.limit import LIMIT, most_pixels, too_large
from rdad.data.masks import BAND_ROWS, marked
from rdad.data.png import check_whole
from rdad.runs.files import irregular

SHOWN_PROBLEMS = 20
MOST_COLOURS = 256  # that are counted in a mask
JPEG_START, JPEG_SCAN = b"\xff\xd8", b"\xff\xda"
MOST_SCANS = 500  # of a JPEG: ten are usual, and each of thousands costs as much as the whole image


class DataError(ValueError):
    """Image or mask files that cannot be used; `problems` has one "file: reason" for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        files = "1 file that cannot be used" if count == 1 else f"{count} files that cannot be used"
        return "\n".join([f"{files}:", *listed(self.problems)])


def listed(problems: Sequence[str]) -> list[str]:
    """A line for each of the first problems, and one that counts the rest."""
    lines = [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    more = len(problems) - SHOWN_PROBLEMS
    return [*lines, f"  ... and {more} more"] if more > 0 else lines


def load_image(path: str | Path, *, bits: int = FULL) -> Image.Image:
    """The image in a file as 8-bit RGB.

    Args:
        bits: How many of its bits a 16-bit grey file uses.

    Raises:
        DataError: the file is missing, is no image, is damaged, or is too large to open safely.
    """
    return decode_image(read_bytes(Path(path)), Path(path), bits=bits)


def as_rgb(image: str | Path | Image.Image | NDArray[np.uint8], *, bits: int = FULL) -> Image.Image:
    """What a program holds or names, as 8-bit RGB.

    Args:
        image: A file, see `load_image`; or as Pillow opened it; or uint8 pixels (H, W), (H, W, 3)
            red first, or (H, W, 4).
        bits: How many of its bits 16-bit grey uses.

    Raises:
        DataError: pixels of another shape or type, or an image that proves damaged when it is read.
        TypeError: something else.
    """
    if isinstance(image, str | Path):
        return load_image(image, bits=bits)
    if isinstance(image, np.ndarray):
        shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
        if image.dtype != np.uint8 or not shaped or not image.size:
            found = f"an array of {image.dtype} {image.shape}"
            allowed = "uint8 of shape (H, W), (H, W, 3) as RGB, or (H, W, 4) as RGBA"
            raise DataError([f"{found}; allowed: {allowed}"])
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        allowed = "a file's name or Path, a Pillow image, or a uint8 array"
        raise TypeError(f"an image is {allowed}; found {type(image).__name__}")
    with _damage_named("image"):
        return _rgb(ImageOps.exif_transpose(image), bits)


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises DataError if it is missing, no file, empty, or too large."""
    if found := irregular(path):
        raise DataError([f"{path}: {found}, not a file"])
    try:
        if said := too_large(path.stat().st_size):
            raise DataError([f"{path}: {said}"])
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError([f"{path}: missing"]) from None
    except IsADirectoryError:
        raise DataError([f"{path}: a folder, not an image"]) from None
    except OSError as error:
        raise DataError([f"{path}: cannot be read ({error.strerror})"]) from error
    except ValueError as error:  # a name with a zero byte
        raise DataError([f"{path}: cannot be read ({error})"]) from error
    if not content:
        raise DataError([f"{path}: empty file (zero bytes)"])
    return content


def decode_image(content: bytes, path: Path, *, bits: int = FULL) -> Image.Image:
    """As `load_image`, from the file's content; `path` is for messages."""
    return decode_with_facts(content, path, bits=bits)[0]


def decode_with_facts(content: bytes, path: Path, *, bits: int = FULL) -> tuple[Image.Image, Facts]:
    """As `decode_image`, and what the file is besides."""
    with _damage_named(path):
        image, facts = _open(content)
        return _rgb(image, bits), facts


def decode_mask(content: bytes, path: Path) -> Image.Image:
    """The mask in a file as 8-bit grey; defects are what lies above 127, see `rdad.data.masks`."""
    return decode_classes(content, path)[0]


def decode_classes(content: bytes, path: Path) -> tuple[Image.Image, int, Facts]:
    """As `decode_mask`, how many levels or colours are classes (0: a soft mask), and the facts."""
    with _damage_named(path):
        image, facts = _open(content)
        grey, levels = marked(_mask_values(image), lossy=content.startswith(JPEG_START))
        colours = _colours(image) if levels and not _is_grey(image) else 0
    return Image.fromarray(grey), levels and max(levels, colours - 1), facts


def mask_values(content: bytes, path: Path) -> NDArray[np.integer]:
    """(H, W), what a mask's file holds at each pixel, 0 for background; errors as `load_image`."""
    with _damage_named(path):
        return _mask_values(_open(content)[0])


def _mask_values(image: Image.Image) -> NDArray[np.integer]:
    """(H, W), 0 is background. Of colours the brightest channel counts; of black ones the alpha."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        upper_byte(values)  # for its check
        return values
    if _is_grey(image):
        return np.asarray(image)
    values = np.empty((image.height, image.width), np.uint8)
    for top, rows in _rows(image):
        channels = [np.asarray(channel) for channel in _rgb(rows).split()]
        np.maximum.reduce(channels, out=values[top : top + rows.height])
    if image.has_transparency_data and not values.any():
        alpha = image if "A" in image.getbands() else image.convert("RGBA")
        found = np.asarray(alpha.getchannel("A"))
        return found if found.min() < 255 else values
    return values


def _colours(image: Image.Image) -> int:
    """How many there are; 0 for more than a mask has."""
    found: set[Any] = set()
    for _, rows in _rows(image):
        colours = _rgb(rows).getcolors(MOST_COLOURS)
        found |= {colour for _, colour in colours or []}
        if colours is None or len(found) > MOST_COLOURS:
            return 0
    return len(found)


def _rows(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in bands, each behind its first row: copies of the whole would be many times it."""
    for top in range(0, image.height, BAND_ROWS):
        yield top, image.crop((0, top, image.width, min(top + BAND_ROWS, image.height)))


def _is_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I") or (image.mode == "L" and not image.has_transparency_data)


def resize_image(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) at `size` (height, width): PIL's bilinear filter on 8-bit values."""
    return np.asarray(_resize(image, size))


def resize_mask(mask: Image.Image, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W) at `size` (height, width): PIL's bilinear filter, then above one half."""
    return np.asarray(_resize(mask, size)) > 127


def _resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Across first, then down: Pillow 13 orders that by the image's shape, and so its rounding."""
    height, width = size
    if image.size == (width, height):
        return image
    across = image.resize((width, image.height), Image.Resampling.BILINEAR)
    return across.resize((width, height), Image.Resampling.BILINEAR)


@contextmanager
def _damage_named(path: Path | str) -> Iterator[None]:
    """What Pillow raises becomes a DataError that names the file and the reason."""
    limit = most_pixels()
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = int(re.findall(r"\d+", str(error))[0])
        raise DataError(
            [
                f"{path}: too many pixels to open safely ({found:,}; allowed: {limit:,}; "
                f"the environment variable {LIMIT}={found} allows it)"
            ]
        ) from error
    except Image.UnidentifiedImageError as error:
        raise DataError([f"{path}: not an image that Pillow can read"]) from error
    except MemoryError as error:
        raise DataError([f"{path}: there is not the memory to open it"]) from error
    except Exception as error:  # damaged files raise nearly everything: SyntaxError, struct.error
        raise DataError([f"{path}: damaged or unsupported ({error})"]) from error


def _open(content: bytes) -> tuple[Image.Image, Facts]:
    with Image.open(io.BytesIO(content)) as image:
        if (found := image.width * image.height) > most_pixels():
            raise Image.DecompressionBombError(f"{found} pixels")
        if image.format == "EPS":
            raise ValueError("EPS is a program, which Ghostscript would run; save as PNG")
        if image.format in ("JPEG", "MPO") and (scans := content.count(JPEG_SCAN)) > MOST_SCANS:
            raise ValueError(f"a JPEG of {scans} scans; allowed are {MOST_SCANS}")
        paged, deep = has_pages(image), has_16_bits(image)
        image.verify()  # a PNG's checksums, which loading ignores
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        facts = facts_of(image, paged=paged, deep=deep)
    check_whole(content, image)
    ImageOps.exif_transpose(image, in_place=True)
    return image, facts


def _rgb(image: Image.Image, bits: int = FULL) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating point pixels; save as 8-bit or 16-bit")
    if image.mode.startswith("I"):
        return Image.fromarray(upper_byte(np.asarray(image), bits)).convert("RGB")
    if image.has_transparency_data:
        return _over_black(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_black(image: Image.Image) -> Image.Image:
    """Composited band by band: of the whole there would be four copies at once."""
    result = Image.new("RGB", image.size)
    for top, rows in _rows(image):
        black = Image.new("RGBA", rows.size, (0, 0, 0, 255))
        shown = Image.alpha_composite(black, rows.convert("RGBA"))
        result.paste(shown.convert("RGB"), (0, top))
    return result

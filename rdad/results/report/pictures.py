"""The pictures on a report's page, small enough that a thousand of them stay quick."""

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from rdad.data.samples import Sample

ALL_PHOTOGRAPHS_BYTES = 8_000_000  # a third more in base64; heat maps add a fifth
BYTES_A_PIXEL = 0.22  # of a JPEG of QUALITY: a toothbrush has 0.1, brick 0.2, grass 0.34
SIDES_PX = (64, 1024)
HEAT_PX, OUTLINE_PX = 128, 256  # maps are blurred, and outlines smooth
QUALITY = 78
OUTLINE_UNITS = 1000  # the outline's coordinates, across and down


def photograph_side(images: int) -> int:
    """Pixels of a photograph's longer side on a page of so many images."""
    smallest, largest = SIDES_PX
    affordable = math.sqrt(ALL_PHOTOGRAPHS_BYTES / max(images, 1) / BYTES_A_PIXEL)
    return int(min(max(affordable, smallest), largest))


def draw_sample(sample: "Sample", *, side: int) -> dict[str, Any]:
    """A sample's files as the page shows them.

    Returns:
        Plain data: `width` and `height` of the original, `photograph` (a JPEG in base64),
        `outline` of the defect (the d of an SVG path in a square of 1000 units; empty without one).

    Raises:
        DataError: the image or the mask is not there any more.
    """
    from rdad.data.decoding import decode_union
    from rdad.data.images import load_image

    image = load_image(sample.image, bits=sample.bits)
    marked = decode_union(sample)
    outline = "" if marked is None else outline_path(marked[0])
    width, height = image.size
    photograph = _encoded(_shrunk(image, side), "JPEG", quality=QUALITY)
    return {"width": width, "height": height, "photograph": photograph, "outline": outline}


def draw_heat(anomaly_map: "NDArray[np.float32]", limits: tuple[float, float], *, side: int) -> str:
    """A map's colours, the more opaque the hotter, as a WebP in base64, for over the photograph.

    Args:
        anomaly_map: (H, W), raw.
        limits: Of the colour scale, in the map's unit; the same for all images of a page.
    """
    from PIL import Image

    from rdad.results.pictures import heat_map, heat_opacity

    values = np.asarray(_shrunk(Image.fromarray(anomaly_map), min(side // 2, HEAT_PX)))
    opacity = np.rint(255 * heat_opacity(values, *limits)).astype(np.uint8)
    layer = Image.fromarray(np.dstack([heat_map(values, *limits), opacity]))
    return _encoded(layer, "WEBP", quality=60, alpha_quality=30, method=2)


def outline_path(mask: "Image.Image") -> str:
    """The d of an SVG path around what lies above 127, stretched to a square of 1000 units.

    Drawn coarsely, around blocks of pixels of which any is marked: no defect is too small.
    """
    from skimage.measure import block_reduce  # slow to import

    block = math.ceil(max(mask.size) / OUTLINE_PX)
    inside = block_reduce(np.asarray(mask) > 127, block, np.max).astype(np.float32)
    scale = OUTLINE_UNITS * block / np.array([mask.height, mask.width])
    return _contours(inside, 0.5, scale, coarseness=0.45)


def region_path(anomaly_map: "NDArray[np.float32]", threshold: float) -> str:
    """The d of an SVG path around where a map (H, W) exceeds a threshold, as `outline_path`."""
    values = np.nan_to_num(anomaly_map, nan=0.0)
    return _contours(values, threshold, OUTLINE_UNITS / np.array(values.shape), coarseness=0.15)


def _contours(
    values: "NDArray[np.float32]", level: float, scale: "NDArray[np.float64]", *, coarseness: float
) -> str:
    """Around what lies above the level, `coarseness` pixels beside it at most.

    `scale` is a pixel's size, down and across.
    """
    from skimage.measure import approximate_polygon, find_contours  # slow to import

    parts = []
    for contour in find_contours(np.pad(values, 1), level):
        placed = contour[:-1] - 0.5  # the pad and a block's middle
        corners = approximate_polygon(placed, coarseness)
        rounded = np.rint(corners * scale).clip(0, OUTLINE_UNITS).astype(int).tolist()
        parts.append("M" + "L".join(f"{across} {down}" for down, across in rounded) + "Z")
    return "".join(parts)


def _shrunk(image: "Image.Image", side: int) -> "Image.Image":
    """The image with its longer side at most `side` pixels."""
    from PIL import Image

    smaller = image.copy()
    smaller.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return smaller


def _encoded(image: "Image.Image", kind: str, **options: Any) -> str:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return base64.b64encode(content.getvalue()).decode("ascii")

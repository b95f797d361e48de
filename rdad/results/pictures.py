"""Pictures of anomaly maps: arrays in, pictures out. Writes no file; charts are in `figures`."""

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

Colour: TypeAlias = tuple[int, int, int]

PANEL_SIDES_PX = (256, 384)  # a panel's longer side is brought into this range
GAP_PX = 6
LINE_PX = 26  # two lines of text stand under the panels
CAPTION_PX = 2 * LINE_PX
TEXT_PX = 15
SCALE_BAR_PX = 110
LIMIT_PX = 130  # for the numbers on both sides of the scale
NARROWEST_PX = 518  # room for the text under narrow panels
VEIL = 0.7
TRUE_COLOUR, PREDICTED_COLOUR = (0, 255, 190), (255, 64, 255)  # of outlines, in every picture
INK, FAINT_INK = (30, 30, 30), (105, 105, 105)


def normalised(
    anomaly_map: "NDArray[np.floating]", low: float, high: float
) -> "NDArray[np.float64]":
    """Where a map's values stand between two limits; (H, W) in [0, 1], nan being 0."""
    if not high > low:
        return np.zeros(anomaly_map.shape)
    scaled = (anomaly_map.astype(np.float64) - low) / (high - low)
    return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)


def heat_map(anomaly_map: "NDArray[np.floating]", low: float, high: float) -> "NDArray[np.uint8]":
    """Colours of a map: `low` is black-violet, `high` is pale yellow, values beyond are clipped.

    The colour map (inferno) has even steps in lightness, so that it also reads in grey.

    Args:
        anomaly_map: (H, W). What is not a number takes the lowest colour.
        low, high: The limits of the colour scale, in the map's unit. Where they are equal,
            everything takes the lowest colour.

    Returns:
        (H, W, 3).
    """
    return _colours()[np.rint(255 * normalised(anomaly_map, low, high)).astype(np.uint8)]


def heat_opacity(
    anomaly_map: "NDArray[np.floating]", low: float, high: float
) -> "NDArray[np.float64]":
    """How much of a picture its heat map hides: the hotter, the more; (H, W) in [0.15, 0.85].

    What is not a number is ignored, and veiled.
    """
    opacity = 0.15 + 0.7 * normalised(anomaly_map, low, high) ** 0.7
    return np.where(np.isnan(anomaly_map), VEIL, opacity)


def overlay(
    image: "NDArray[np.uint8]",
    anomaly_map: "NDArray[np.floating]",
    mask: "NDArray[np.generic] | None",
    low: float,
    high: float,
    *,
    threshold: float | None = None,
    title: str = "",
    caption: str = "",
) -> Image.Image:
    """One row: the image, the image with outlines, the heat map over the image.

    The true defect and the predicted region are outlined, each in its colour, which a legend
    names; the scale has a mark where the predicted region begins.

    Args:
        image: (H, W, 3). A panel's longer side is at most 384 pixels, and at least 256.
        anomaly_map: (h, w), of any size; it is stretched over the image.
        mask: (H, W), not zero where the defect is. None: it is not known where.
        low, high: The limits of the colour scale, printed beside it.
        threshold: Values of the map above it are the predicted region. None: there is none, and
            without a mask the second panel is left out.
        title, caption: Text under the pictures; the caption follows the title in a fainter colour.
    """
    picture = panel(image)
    heat = _stretched(anomaly_map, picture.size)
    outlines: dict[str, tuple[NDArray[np.generic], Colour]] = {}
    if mask is not None:
        outlines["true defect"] = _scaled(picture, mask), TRUE_COLOUR
    if threshold is not None:
        outlines[f"predicted > {threshold:.4g}"] = heat > threshold, PREDICTED_COLOUR
    panels = [picture]
    if outlines:
        panels.append(_outlined(picture, outlines.values()))
    panels.append(_heated(picture, heat, low, high))
    sheet = _side_by_side(panels)
    _write_caption(sheet, title, caption)
    _write_legend(sheet, {name: colour for name, (_, colour) in outlines.items()})
    _draw_scale(sheet, low, high, threshold)
    return sheet


@lru_cache(maxsize=1)
def _colours() -> "NDArray[np.uint8]":
    from matplotlib import colormaps  # slow to import

    return np.rint(255 * colormaps["inferno"](np.arange(256))[:, :3]).astype(np.uint8)


def panel(image: "NDArray[np.uint8] | Image.Image") -> Image.Image:
    """An image (H, W, 3) in the size it has in an overlay; such a panel stays as it is."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    width, height = image.size
    smallest, largest = PANEL_SIDES_PX
    longer = max(height, width)
    scale = min(max(longer, smallest), largest) / longer
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _outlined(
    picture: Image.Image, outlines: "Iterable[tuple[NDArray[np.generic], Colour]]"
) -> Image.Image:
    """A bright line in a dark casing, just outside each region: one shows on any ground."""
    result = np.asarray(picture, dtype=np.float64)
    for inside, line in outlines:
        distance = _signed_distance(inside)
        for colour, half_width in (((0, 0, 0), 2.6), (line, 1.2)):
            opacity = np.clip(half_width + 0.5 - np.abs(distance - 2.0), 0.0, 1.0)[..., None]
            result = result * (1 - opacity) + np.asarray(colour) * opacity
    return Image.fromarray(np.rint(result).astype(np.uint8))


def _scaled(picture: Image.Image, mask: "NDArray[np.generic]") -> "NDArray[np.bool_]":
    """The mask in a panel's size; a defect of one pixel survives."""
    marked = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    shrinks = picture.width < marked.width or picture.height < marked.height
    scaled = np.asarray(marked.resize(picture.size, Image.Resampling.BILINEAR))
    return scaled > (0 if shrinks else 127)


def _signed_distance(inside: "NDArray[np.generic]") -> "NDArray[np.float64]":
    """Pixels to a region's edge, negative in it."""
    from scipy.ndimage import distance_transform_edt  # slow to import

    if not inside.any():
        return np.full(inside.shape, np.inf)
    outside, within = (np.asarray(distance_transform_edt(one)) for one in (inside == 0, inside))
    return outside - within


def _stretched(anomaly_map: "NDArray[np.floating]", size: tuple[int, int]) -> "NDArray[np.float32]":
    stretched = Image.fromarray(anomaly_map.astype(np.float32))
    return np.asarray(stretched.resize(size, Image.Resampling.BILINEAR))


def _heated(
    picture: Image.Image, values: "NDArray[np.float32]", low: float, high: float
) -> Image.Image:
    """Heat laid over the picture in grey, the more opaque the hotter."""
    opacity = heat_opacity(values, low, high)[..., None]
    grey = np.asarray(picture.convert("L"), dtype=np.float64)[..., None]
    blended = grey * (1 - opacity) + heat_map(values, low, high) * opacity
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def _side_by_side(panels: list[Image.Image]) -> Image.Image:
    wide = sum(panel.width for panel in panels) + GAP_PX * (len(panels) - 1)
    sheet = Image.new("RGB", (max(wide, NARROWEST_PX), panels[0].height + CAPTION_PX), "white")
    left = (sheet.width - wide) // 2
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width + GAP_PX
    return sheet


def _font(text: str) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Pillow's own font, which knows ASCII only; for other letters matplotlib's DejaVu Sans."""
    if text.isascii():
        return ImageFont.load_default(size=TEXT_PX)
    from matplotlib import get_data_path  # slow to import

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", TEXT_PX - 1)


def _write(
    sheet: Image.Image, text: str, left: float, room: float, colour: Colour, *, line: int
) -> float:
    """Write into a line of the text, cut to `room` pixels; gives the place of its end."""
    font, fits = _font(text), text
    while fits and font.getlength(fits) > room:
        text = text[:-1]
        fits = f"{text}..." if text else ""
    place = left, _middle(sheet, line)
    ImageDraw.Draw(sheet).text(place, fits, fill=colour, font=font, anchor="lm")
    return left + font.getlength(fits)


def _middle(sheet: Image.Image, line: int) -> int:
    return sheet.height - CAPTION_PX + line * LINE_PX + LINE_PX // 2


def _write_caption(sheet: Image.Image, title: str, caption: str) -> None:
    """The title is cut before the caption is: the caption holds the score."""
    room = sheet.width - 8
    wanted = min(_font(caption).getlength(caption), room / 2)
    end = _write(sheet, title, 4, room - wanted - 18, INK, line=0)
    _write(sheet, caption, end + 14, room - end - 14, FAINT_INK, line=0)


def _write_legend(sheet: Image.Image, lines: "Mapping[str, Colour]") -> None:
    """What each outline is, at the second line's left end."""
    left, middle, most = 4.0, _middle(sheet, 1), sheet.width - SCALE_BAR_PX - LIMIT_PX
    for name, colour in lines.items():
        for line, half_width in (((0, 0, 0), 2), (colour, 1)):
            box = (left, middle - half_width, left + 18, middle + half_width)
            ImageDraw.Draw(sheet).rectangle(box, fill=line)
        left = _write(sheet, name, left + 24, most - left - 24, FAINT_INK, line=1) + 18


def _draw_scale(sheet: Image.Image, low: float, high: float, threshold: float | None) -> None:
    """The colour scale with its limits and the threshold, at the second line's right end."""
    bar = heat_map(np.tile(np.linspace(0.0, 1.0, SCALE_BAR_PX), (10, 1)), 0.0, 1.0)
    highest, lowest = f"{high:.4g}", f"{low:.4g}"
    right = sheet.width - 4 - _font(highest).getlength(highest)
    left, middle = round(right - SCALE_BAR_PX - 6), _middle(sheet, 1)
    sheet.paste(Image.fromarray(bar), (left, middle - 5))
    if threshold is not None and low <= threshold <= high and low < high:
        at = left + round((SCALE_BAR_PX - 1) * (threshold - low) / (high - low))
        for colour, half_width in (((0, 0, 0), 2), (PREDICTED_COLOUR, 1)):
            box = (at - half_width, middle - 8, at + half_width, middle + 7)
            ImageDraw.Draw(sheet).rectangle(box, fill=colour)
    _write(sheet, highest, right, 70, FAINT_INK, line=1)
    _write(sheet, lowest, left - 6 - _font(lowest).getlength(lowest), 70, FAINT_INK, line=1)

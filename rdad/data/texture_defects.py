"""Defects drawn into grey photographs: a stain, a scratch, foreign material.

Only integers and the exactly rounded float64 operations (+ - * / and sqrt) are used, and a
random stream that NumPy has frozen: the pixels are the same on every machine.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

CURVE_STEPS = 150  # at most a pixel apart

Grey = NDArray[np.uint8]
Field = NDArray[np.float64]
Random = np.random.RandomState
Drawn = tuple[Grey, NDArray[np.bool_]]

Draw = Callable[..., Drawn]
"""Draws one defect into an image; gives the image with it, and its mask.

`other` is a picture of another material, and `boldness` raises contrast and width: what a person
sees at once on a calm surface is lost in a busy one.
"""


def stain(image: Grey, other: Grey, random: Random, *, boldness: float) -> Drawn:
    """Darker or lighter where a liquid dried; the texture shows through."""
    alpha = _blob(image.shape, random, radius_px=between(random, 22, 42), rim_px=4)
    dark = random.random_sample() < 0.7
    strength = between(random, 0.4, 0.6) * (0.6 + 0.4 * _noise(image.shape, random, cell_px=16))
    toned = (0.0 if dark else 235.0) - image.astype(np.float64)
    return _blend(image, image + toned * (strength * boldness), alpha)


def scratch(image: Grey, other: Grey, random: Random, *, boldness: float) -> Drawn:
    """A thin bent line that takes the surface off, brighter or darker than it was."""
    distance = _distance_to_curve(image.shape, random, length_px=between(random, 70, 150))
    alpha = _smooth((between(random, 1.4, 2.8) * boldness + 1.0 - distance) / 2)
    level = 215.0 if random.random_sample() < 0.6 else 25.0
    wear = 0.6 + 0.4 * _noise(image.shape, random, cell_px=12)
    toned = image + (level - image) * wear * 0.8
    return _blend(image, toned, alpha)


def foreign(image: Grey, other: Grey, random: Random, *, boldness: float) -> Drawn:
    """A piece of the other material, brought nearer to the image's brightness."""
    alpha = _blob(image.shape, random, radius_px=between(random, 24, 42), rim_px=2)
    shift = 0.5 / boldness * (float(image.mean()) - float(other.mean()))
    return _blend(image, other.astype(np.float64) + shift, alpha)


def between(random: Random, low: float, high: float) -> float:
    """One number, evenly between `low` and `high`."""
    return low + (high - low) * float(random.random_sample())


def _blend(image: Grey, over: Field, alpha: Field) -> Drawn:
    """`over` laid on `image` by `alpha` in [0, 1]; the mask is where alpha is half or more."""
    mixed = image + alpha * (over - image)
    return np.clip(np.floor(mixed + 0.5), 0, 255).astype(np.uint8), alpha >= 0.5


def _blob(shape: tuple[int, ...], random: Random, *, radius_px: float, rim_px: int) -> Field:
    """A round patch with an uneven outline: 1 inside, falling to 0 within `rim_px` of it."""
    from scipy import ndimage

    rows, columns = _grid(shape)
    row = between(random, radius_px, shape[0] - radius_px)
    column = between(random, radius_px, shape[1] - radius_px)
    stretch = between(random, 0.7, 1.4)
    distance = np.sqrt((rows - row) ** 2 * stretch + (columns - column) ** 2 / stretch)
    uneven = 0.9 * radius_px * (_noise(shape, random, cell_px=24) - 0.5)
    patch = _largest_region(distance < radius_px + uneven)
    square = np.ones((2 * rim_px + 1, 2 * rim_px + 1), np.int64)
    inside = ndimage.convolve(patch.astype(np.int64), square, mode="nearest")
    return _smooth(inside / square.size)


def _largest_region(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    regions, _ = cast("tuple[NDArray[np.int32], int]", ndimage.label(marked))
    return regions == 1 + int(np.bincount(regions.ravel())[1:].argmax())


def _distance_to_curve(shape: tuple[int, ...], random: Random, *, length_px: float) -> Field:
    """Distance in pixels to a quadratic Bezier curve inside the image."""
    centre = np.array([between(random, 60, size - 60) for size in shape])
    direction = np.array([between(random, -1, 1), between(random, -1, 1)])
    direction /= np.sqrt(max(direction[0] ** 2 + direction[1] ** 2, 1e-3))
    bend = between(random, -0.4, 0.4) * length_px * np.array([direction[1], -direction[0]])
    start, end = centre - direction * length_px / 2, centre + direction * length_px / 2
    rows, columns = _grid(shape)
    squared = np.full(shape, np.inf)
    for step in range(CURVE_STEPS + 1):
        t = step / CURVE_STEPS
        left = 1 - t
        row, column = left * left * start + 2 * t * left * (centre + bend) + t * t * end
        squared = np.minimum(squared, (rows - row) ** 2 + (columns - column) ** 2)
    return np.sqrt(squared)


def _grid(shape: tuple[int, ...]) -> tuple[Field, Field]:
    return np.arange(shape[0], dtype=np.float64)[:, None], np.arange(shape[1], dtype=np.float64)


def _noise(shape: tuple[int, ...], random: Random, *, cell_px: int) -> Field:
    """Smooth noise in [0, 1], random at lattice points `cell_px` apart."""
    lattice = random.random_sample((shape[0] // cell_px + 2, shape[1] // cell_px + 2))
    row, down = _cells(shape[0], cell_px)
    column, right = _cells(shape[1], cell_px)
    upper = lattice[row][:, column] * (1 - right) + lattice[row][:, column + 1] * right
    lower = lattice[row + 1][:, column] * (1 - right) + lattice[row + 1][:, column + 1] * right
    return upper * (1 - down[:, None]) + lower * down[:, None]


def _cells(length: int, cell_px: int) -> tuple[NDArray[np.int64], Field]:
    """Lattice index below each pixel, and how far it is to the next, smoothly from 0 to 1."""
    pixel = np.arange(length, dtype=np.int64)
    return pixel // cell_px, _smooth((pixel % cell_px) / cell_px)


def _smooth(value: Field) -> Field:
    """0 below 0, 1 above 1, and between them without a kink."""
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)

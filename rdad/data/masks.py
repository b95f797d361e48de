"""Which pixels of a mask file are defect, whatever marks them: white, colours, classes, ids."""

import numpy as np
from numpy.typing import NDArray

BAND_ROWS = 64
FEW_LEVELS = 8  # classes in one file; a soft edge that ends below white has more levels


def marked(values: NDArray[np.integer], *, lossy: bool) -> tuple[NDArray[np.uint8], int]:
    """8-bit grey of which defects are what lies above 127, and the number of classes.

    What is not 0 is defect. Only the soft edges of a resized mask are cut at half: pixels below
    half whose neighbours are mostly brighter, up to white, or what JPEG left around an outline.

    Args:
        values: (H, W), 0 is background; up to 255, or 65535 where one is above 255.
        lossy: Whether the file's format changes levels, so that they mean nothing.

    Returns:
        The grey (H, W); and how many levels above 0 were taken for classes, 0 for a soft mask.
    """
    white = 65535 if values.max() > 255 else 255
    levels = _levels(values)
    half_counts = levels.size > 1 and levels[-1] > white // 2
    may_be_soft = half_counts and (levels.size > FEW_LEVELS or levels[-1] == white)
    if (half_counts and lossy) or (may_be_soft and _has_soft_edges(values, white // 2)):
        return (values >> 8 if white > 255 else values).astype(np.uint8), 0
    return (values > 0) * np.uint8(255), levels.size


def _levels(values: NDArray[np.integer]) -> NDArray[np.intp]:
    """Those above 0; counted in bands, as NumPy makes 8 bytes of each number that it counts."""
    found = np.zeros(65_536, np.bool_)
    for top in range(0, len(values), BAND_ROWS):
        found[values[top : top + BAND_ROWS]] = True
    return np.flatnonzero(found[1:]) + 1


def _has_soft_edges(values: NDArray[np.integer], half: int) -> bool:
    """Whether most of what is dim is within two pixels of something brighter, as on a slope; most
    of a class is as high as what is around it.
    """
    from scipy import ndimage

    dim = (values > 0) & (values <= half)
    climbs = dim & (ndimage.maximum_filter(values, 5) > values)
    return bool(2 * np.count_nonzero(climbs) > np.count_nonzero(dim))

"""Anomaly maps of the network's size, brought to the size of the image they belong to."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stretched_map(
    anomaly_map: "NDArray[np.float32]", size: tuple[int, int]
) -> "NDArray[np.float32]":
    """A map (h, w) at `size` (height, width); one that has it already is returned as it is.

    Bilinear with pixel centres at halves, as most image programs do it; where it shrinks, the
    mean over the pixels that fall together (Pillow's filter).
    """
    from PIL import Image

    if anomaly_map.shape == size:
        return anomaly_map
    height, width = size
    stretched = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(stretched)

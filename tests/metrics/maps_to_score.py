"""Anomaly maps and masks to score, drawn with a seed."""

import numpy as np
from scipy import ndimage


def smooth_maps(count, size=(64, 64), *, seed=0, anomalous=2 / 3):
    """Smooth positive maps with a raised, softened blob or two in the last of them.

    Returns:
        maps (count, H, W) float32 and masks (count, H, W) bool.
    """
    draw = np.random.default_rng(seed)

    def field(sigma):
        drawn = draw.standard_normal((count, *size))
        blurred = ndimage.gaussian_filter(drawn, (0, sigma, sigma), mode="wrap")
        return blurred / blurred.std()

    blobs = field(min(size) / 16)
    masks = blobs > np.quantile(blobs, 0.97)
    masks[: count - round(count * anomalous)] = False
    soft = ndimage.gaussian_filter(masks.astype(float), (0, 2, 2))
    maps = np.exp(-2 + 0.35 * field(3) + 0.2 * field(8)) + 0.2 * soft
    return maps.astype(np.float32), masks


def odd_maps():
    """Name -> (maps, masks) of kinds that break careless code; each has both classes."""
    draw = np.random.default_rng(7)
    smooth, masks = smooth_maps(4, (24, 17), seed=3)
    noise = draw.standard_normal(smooth.shape)
    tiny = np.array([[[0.1, 0.9], [0.4, 0.35]]])
    return {
        "smooth": (smooth, masks),
        "negative": (-smooth, masks),
        "noise in float64": (noise, masks),
        "heavily tied": (draw.integers(0, 4, smooth.shape).astype(np.float32), masks),
        "all the same": (np.full_like(smooth, 0.5), masks),
        "huge": (smooth * np.float32(1e37), masks),
        "minute": (smooth * np.float32(1e-37), masks),
        "around zero": (np.round(noise, 1) * 0.1, masks),
        "infinite": (np.where(noise > 1, np.inf, noise), masks),
        "two by two": (tiny, np.array([[[False, True], [False, True]]])),
        "two by two, touching at a corner": (tiny, np.array([[[True, False], [False, True]]])),
    }

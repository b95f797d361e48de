"""Pillow's bilinear filter as matrix products, so that every runtime computes the same.

Runtimes disagree about their own resize operators: where pixel centres lie, whether shrinking
takes the mean of what falls together, how 8-bit values are rounded. Products of small whole
numbers leave nothing to disagree about: in float32 their sums are exact below 2^24.
"""

import torch
from torch import Tensor

_HALF_BITS = 11  # Pillow's 8-bit weights have 22 bits; halves of them keep all sums exact
_HALF = 2**_HALF_BITS


def resized_pixels(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (B, C, H, W), whole numbers of any dtype -> float32 (B, C, *size), whole, 0 to 255.

    Bit for bit what Pillow makes of 8-bit images that are not more than 16 times as large:
    across, rounded to 8 bits, then down, rounded again. Beyond, a rare pixel may differ by 1.
    """
    across = _triangle(images.shape[3], size[1], like=images)
    down = _triangle(images.shape[2], size[0], like=images)
    rows = _eight_bit(*(images.float() @ half.T for half in _halves(across)))
    return _eight_bit(*(half @ rows for half in _halves(down)))


def stretched_maps(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps (B, h, w), float32 -> (B, height, width), not rounded."""
    across = _triangle(maps.shape[2], width, like=maps)
    down = _triangle(maps.shape[1], height, like=maps)
    across, down = (weights / weights.sum(1, keepdim=True) for weights in (across, down))
    return down @ (maps @ across.T)


def _triangle(found: int, wanted: int, *, like: Tensor) -> Tensor:
    """Weights, int64 (wanted, found), by which a signal is resized; row sums differ.

    The triangle around each wanted pixel's centre is as wide as a wanted pixel or a found one,
    whichever is larger. Distances are counted in units of 1 / (2 wanted) of a found pixel, and so
    are whole. Lengths may be symbols of a traced graph; values stay below 2^31 for runtimes that
    count in 32 bits.
    """
    rows = torch.arange(wanted, device=like.device).unsqueeze(1)
    columns = torch.arange(found, device=like.device).unsqueeze(0)
    distances = ((2 * rows + 1) * found - (2 * columns + 1) * wanted).abs()
    return (-distances + 2 * torch.sym_max(found, wanted)).clamp_min(0)


def _halves(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weights as shares of their row's sum in units of 2^-22: the upper 11 bits and the lower."""
    sums = weights.sum(1, keepdim=True)
    upper = weights * _HALF // sums
    rest = weights * _HALF - upper * sums
    lower = (rest.float() / sums.float() * _HALF + 0.5).floor()
    return upper.float(), lower


def _eight_bit(upper: Tensor, lower: Tensor) -> Tensor:
    """Sums of weighted pixels, in two halves, rounded half up as Pillow's integers are."""
    carried = (lower / _HALF).floor()
    return ((upper + carried + _HALF // 2) / _HALF).floor().clamp(0, 255)

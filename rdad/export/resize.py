"""Pillow's bilinear filter as matrix products, so that every runtime computes the same.

Runtimes disagree about their own resize operators: where pixel centres lie, whether shrinking
takes the mean of what falls together, how 8-bit values are rounded. Products of small whole
numbers leave nothing to disagree about: in float32 their sums are exact below 2^24.

Lengths may be symbols of a traced graph. Whole numbers stay below 2^31, for runtimes that count in
32 bits.
"""

import torch
from torch import Tensor

_BLOCK = 32  # rows of a result that are made of one window of the image
_HALF_BITS = 11  # Pillow's 8-bit weights have 22 bits; halves of them keep all sums exact
_HALF = 2**_HALF_BITS


def resized_pixels(
    images: Tensor, size: tuple[int, int], sides: tuple[int, int] | None = None
) -> Tensor:
    """Pixels (B, H, W, C), whole numbers of any dtype -> float32 (B, C, *size), whole, 0 to 255.

    With `sides` (height, width) they are brought to these, and lie in the upper left corner; what
    is beside them means nothing.

    Bit for bit what Pillow makes of 8-bit images that are not more than 16 times as large:
    across, rounded to 8 bits, then down, rounded again. Beyond, a rare pixel may differ by 1.
    """
    columns = images.permute(0, 3, 2, 1)  # (B, C, W, H)
    sides = sides or size
    across = _resized_rows(columns, sides[1], size[1])
    return _resized_rows(across.transpose(2, 3), sides[0], size[0])


def stretched_maps(
    maps: Tensor, height: int, width: int, sides: tuple[int, int] | None = None
) -> Tensor:
    """Maps (B, h, w), float32 -> (B, height, width), not rounded.

    With `sides` (height, width) only that much of the maps, in their middle.
    """
    sides = sides or (maps.shape[1], maps.shape[2])
    down = _stretching(maps.shape[1], sides[0], height, like=maps)
    across = _stretching(maps.shape[2], sides[1], width, like=maps)
    return down @ (maps @ across.T)


def _stretching(length: int, found: int, wanted: int, *, like: Tensor) -> Tensor:
    """Weights (wanted, length) by which a map's rows, `found` in their middle, are brought up."""
    places = torch.arange(length, device=like.device) - (length - found) // 2
    rows = torch.arange(wanted, device=like.device)
    weights = _triangles(rows, places, found=found, wanted=wanted)
    weights = weights.masked_fill((places < 0) | (places >= found), 0)
    return weights / weights.sum(1, keepdim=True)


def _triangles(rows: Tensor, places: Tensor, *, found: int, wanted: int) -> Tensor:
    """Weights of the signal's rows at `places` (..., L) for the result's `rows` (..., R).

    The triangle around each row's centre is as wide as a row of the result or of the signal,
    whichever is larger. Distances are counted in units of 1 / (2 wanted) of the signal's rows, and
    so are whole: nothing is lost far from the first row.

    Returns:
        int64 (..., R, L); their sums over L differ.
    """
    centres = (2 * rows + 1) * found
    distances = centres.unsqueeze(-1) - ((2 * places + 1) * wanted).unsqueeze(-2)
    return (-distances.abs() + 2 * torch.sym_max(found, wanted)).clamp_min(0)


def _resized_rows(pixels: Tensor, wanted: int, length: int) -> Tensor:
    """Pixels (B, C, rows, N) -> float32 (B, C, length, N), rounded half up as integers are.

    They are brought to `wanted` rows, and those beyond mean nothing.

    A row of the result depends on few rows of the image. So rows are made in blocks, each of the
    window of the image that its triangles reach: less work than one product by about the number of
    blocks. Weights are shares of their sum in units of 2^-22, in an upper and a lower half.
    """
    places, weights = _windows(pixels.shape[2], wanted, length, like=pixels)
    sums = weights.sum(2, keepdim=True).clamp_min(1)
    upper = weights * _HALF // sums
    rest = weights * _HALF - upper * sums
    lower = (rest.float() / sums.float() * _HALF + 0.5).floor()
    windows = pixels.index_select(2, places.flatten()).float().unflatten(2, places.shape)
    carried = (lower @ windows / _HALF).floor()
    summed = upper.float() @ windows + carried  # (B, C, blocks, _BLOCK, N)
    return ((summed + _HALF // 2) / _HALF).floor().clamp(0, 255).flatten(2, 3)[:, :, :length]


def _windows(found: int, wanted: int, length: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows each block needs, (blocks, L), and with what weights, (blocks, _BLOCK, L)."""
    blocks = (length + _BLOCK - 1) // _BLOCK
    reach = 2 * torch.sym_max(found, wanted)
    window = (_BLOCK * found + reach) // wanted + 2
    firsts = torch.arange(blocks, device=like.device).unsqueeze(1) * _BLOCK  # (blocks, 1)
    starts = ((2 * firsts + 1) * found - reach).clamp_min(0) // (2 * wanted)
    places = starts + torch.arange(window, device=like.device)
    rows = firsts + torch.arange(_BLOCK, device=like.device)
    weights = _triangles(rows, places, found=found, wanted=wanted)
    outside = (places >= found).unsqueeze(1)
    return places.clamp_max(found - 1), weights.masked_fill(outside, 0)

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


def resized_pixels(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels (B, H, W, C), whole numbers of any dtype -> float32 (B, C, *size), whole, 0 to 255.

    Bit for bit what Pillow makes of 8-bit images that are not more than 16 times as large:
    across, rounded to 8 bits, then down, rounded again. Beyond, a rare pixel may differ by 1.
    """
    columns = images.permute(0, 3, 2, 1)  # (B, C, W, H)
    across = _resized_rows(columns, size[1])
    return _resized_rows(across.transpose(2, 3), size[0])


def stretched_maps(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps (B, h, w), float32 -> (B, height, width), not rounded."""
    across, down = (
        _triangles(
            torch.arange(wanted, device=maps.device),
            torch.arange(found, device=maps.device),
            found=found,
            wanted=wanted,
        )
        for found, wanted in ((maps.shape[2], width), (maps.shape[1], height))
    )
    across, down = (weights / weights.sum(1, keepdim=True) for weights in (across, down))
    return down @ (maps @ across.T)


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


def _resized_rows(pixels: Tensor, wanted: int) -> Tensor:
    """Pixels (B, C, rows, N) -> float32 (B, C, wanted, N), rounded half up as integers are.

    A row of the result depends on few rows of the image. So rows are made in blocks, each of the
    window of the image that its triangles reach: less work than one product by about the number of
    blocks. Weights are shares of their sum in units of 2^-22, in an upper and a lower half.
    """
    places, weights = _windows(pixels.shape[2], wanted, like=pixels)
    sums = weights.sum(2, keepdim=True).clamp_min(1)
    upper = weights * _HALF // sums
    rest = weights * _HALF - upper * sums
    lower = (rest.float() / sums.float() * _HALF + 0.5).floor()
    windows = pixels.index_select(2, places.flatten()).float().unflatten(2, places.shape)
    carried = (lower @ windows / _HALF).floor()
    summed = upper.float() @ windows + carried  # (B, C, blocks, _BLOCK, N)
    return ((summed + _HALF // 2) / _HALF).floor().clamp(0, 255).flatten(2, 3)[:, :, :wanted]


def _windows(found: int, wanted: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows each block needs, (blocks, L), and with what weights, (blocks, _BLOCK, L)."""
    blocks = (wanted + _BLOCK - 1) // _BLOCK
    reach = 2 * torch.sym_max(found, wanted)
    length = (_BLOCK * found + reach) // wanted + 2
    firsts = torch.arange(blocks, device=like.device).unsqueeze(1) * _BLOCK  # (blocks, 1)
    starts = ((2 * firsts + 1) * found - reach).clamp_min(0) // (2 * wanted)
    places = starts + torch.arange(length, device=like.device)
    rows = firsts + torch.arange(_BLOCK, device=like.device)
    weights = _triangles(rows, places, found=found, wanted=wanted)
    outside = (places >= found).unsqueeze(1)
    return places.clamp_max(found - 1), weights.masked_fill(outside, 0)

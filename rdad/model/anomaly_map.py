"""From two sets of features to one anomaly map."""

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rdad.model.loss import checked_features, cosine_distance, valid_places
from rdad.model.names import Mode

_TRUNCATE = 4.0  # kernel radius in standard deviations: scipy.ndimage.gaussian_filter's default


def gaussian_matrix(length: int, sigma: float) -> Tensor:
    """(length, length) matrix that blurs a signal it multiplies as scipy's filter would.

    Borders are mirrored (d c b a | a b c d | d c b a). Row sums are 1.
    """
    from scipy.ndimage import gaussian_filter1d

    one_each = np.eye(length)
    blurred = gaussian_filter1d(one_each, sigma, axis=0, mode="reflect") if sigma else one_each
    return torch.from_numpy(blurred).float()


def blur_map(anomaly_map: Tensor, sigma: tuple[float, float]) -> Tensor:
    """A map (..., H, W) of any size blurred as `gaussian_matrix` does, in memory of a few maps.

    Args:
        sigma: Along the rows' direction and the columns' (vertically, horizontally), in pixels.
    """
    for dim, along in zip((-2, -1), sigma, strict=True):
        anomaly_map = _blurred_along(anomaly_map, along, dim) if along else anomaly_map
    return anomaly_map


def _blurred_along(anomaly_map: Tensor, sigma: float, dim: int) -> Tensor:
    """As a sum of shifted maps: five times quicker than a convolution of one channel."""
    radius, length = int(_TRUNCATE * sigma + 0.5), anomaly_map.shape[dim]
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    mirrored = np.pad(np.arange(length), radius, mode="symmetric")
    source = anomaly_map.index_select(dim, torch.from_numpy(mirrored).to(anomaly_map.device))
    total = torch.zeros_like(anomaly_map)
    for shift, weight in enumerate((weights / weights.sum()).tolist()):
        total.add_(source.narrow(dim, shift, length), alpha=weight)
    return total


def image_scores(maps: Tensor, share: float = 0, valid: Tensor | None = None) -> Tensor:
    """What whole images get: the mean over the highest pixels of each map. (B, …, H, W) -> (B,).

    Args:
        share: Of the pixels; as few as 0 is one, the maximum, as in the authors' program.
        valid: As `maps`, bool: where it is False pixels are ignored, and not counted either.
    """
    if valid is not None:
        maps = maps.masked_fill(~valid, -torch.inf)
    if not share:
        return maps.amax(dim=tuple(range(1, maps.ndim)))
    pixels = maps.flatten(1)
    if valid is None:
        return pixels.topk(max(1, int(share * pixels.shape[1]))).values.mean(1)
    counts = (share * valid.flatten(1).sum(1, keepdim=True).double()).long().clamp_min(1)  # (B, 1)
    highest = pixels.sort(descending=True).values
    counted = torch.arange(pixels.shape[1], device=maps.device) < counts
    return highest.masked_fill(~counted, 0).sum(1) / counts[:, 0]


def mean_over_valid(mean: Callable[[Tensor], Tensor], maps: Tensor, valid: Tensor) -> Tensor:
    """What `mean`, with fixed weights of neighbours, makes of maps where only valid ones count.

    Args:
        valid: As `maps`, 0 or 1. Where all neighbours are 0 the result is 0.
    """
    weights = mean(valid)
    return mean(maps * valid) / weights.clamp_min(torch.finfo(weights.dtype).tiny)


class AnomalyMapGenerator(nn.Module):
    """Pixel-wise disagreement of decoder and encoder, at image size.

    Called with the student's (decoder's) and the teacher's (encoder's) features, one
    (B, C_k, H_k, W_k) per layer each, it gives (B, 1, H, W), float32, ≥ 0 to rounding, not
    normalised: with `add` at most 2 per layer. With `valid` (B, 1, H, W), bool, it is 0 where that
    is False, and nothing from there enters what is elsewhere: layers are brought to image size, and
    blurred, by means over what is valid alone.

    Args:
        image_size: (height, width) of the map.
        sigma: Standard deviation of the blur in pixels of `image_size`; 0 means none.
        mode: `add` sums the layers' distances, `multiply` multiplies them.
        score_share: Of `scores`, see `image_scores`.

    Raises:
        ValueError: unknown mode, negative sigma, a share that is none; or, when called, features
            that do not pair up.

    Source: Deng & Li, CVPR 2022 (arXiv 2201.10703); align_corners and the blur's border as in the
    authors' test.py.
    """

    blur_rows: Tensor
    blur_columns: Tensor

    def __init__(
        self,
        image_size: Sequence[int],
        sigma: float = 4,
        mode: Mode = "multiply",
        score_share: float = 0,
    ) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            allowed = " or ".join(get_args(Mode))
            raise ValueError(f"anomaly map mode must be {allowed}; found {mode!r}")
        if not sigma >= 0:
            raise ValueError(f"sigma must be 0 or more pixels; found {sigma}")
        if not 0 <= score_share <= 1:
            raise ValueError(f"score_share must be in [0, 1]; found {score_share}")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.sigma, self.score_share = float(sigma), float(score_share)
        self.mode: Mode = mode
        height, width = self.image_size
        self.register_buffer("blur_rows", gaussian_matrix(height, sigma), persistent=False)
        self.register_buffer("blur_columns", gaussian_matrix(width, sigma).T, persistent=False)

    def layer_maps(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], valid: Tensor | None = None
    ) -> Tensor:
        """(layers, B, 1, H, W): each layer's distance at image size, before they are joined."""
        checked_features(student, teacher)
        distances = [  # (B, 1, H_k, W_k)
            cosine_distance(s, t, dim=1).unsqueeze(1) for s, t in zip(student, teacher, strict=True)
        ]
        if valid is None:
            return torch.stack([self._at_image_size(layer) for layer in distances])
        places = [valid_places(valid, layer) for layer in distances]
        pairs = zip(distances, places, strict=True)
        return torch.stack([mean_over_valid(self._at_image_size, *pair) for pair in pairs])

    def _at_image_size(self, layer: Tensor) -> Tensor:
        return F.interpolate(layer, size=self.image_size, mode="bilinear", align_corners=True)

    def blur(self, maps: Tensor) -> Tensor:
        if self.sigma == 0:
            return maps
        with torch.autocast(maps.device.type, enabled=False):
            return self.blur_rows @ maps @ self.blur_columns

    def unblurred(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], valid: Tensor | None = None
    ) -> Tensor:
        """The layers' distances joined, (B, 1, H, W)."""
        maps = self.layer_maps(student, teacher, valid)
        return maps.sum(0) if self.mode == "add" else maps.prod(0)

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], valid: Tensor | None = None
    ) -> Tensor:
        maps = self.unblurred(student, teacher, valid)
        if valid is None:
            return self.blur(maps)
        return mean_over_valid(self.blur, maps, valid.float()) * valid

    def scores(self, maps: Tensor, valid: Tensor | None = None) -> Tensor:
        """One score an image, of maps of any size; see `image_scores`."""
        return image_scores(maps, self.score_share, valid)

"""The pixel figures in memory that does not grow with the number of images."""

import numpy as np
import torch
from torch import Tensor

from rdad.metrics.pixel import PixelMetrics, joined
from rdad.metrics.ranking import Ranking, rank

BITS = 20  # sign, exponent and 11 bits of the mantissa: bins 0.03 to 0.05 % wide at any magnitude
KEPT_PIXELS = 2**23  # 128 images of 256×256
_WEIGHT_UNIT = 2**42  # of a region; sums of up to two million regions fit int64


class StreamingPixelMetrics(PixelMetrics):
    """`PixelMetrics` from the highest scores as they are, and histograms of all the others.

    Up to 8 million pixels everything is exact. Then the pixels with the lower scores are given up,
    down to the 4 million highest, and counted in bins over the upper bits of the float32 score, as
    if positives and negatives of a bin were mixed evenly. On smooth maps that is within 1e-6 of
    exact. It is further off where many low scores are the very same number (average precision),
    and where the threshold of F1-max has over 4 million alarms.

    Memory: at most 58 MB and 8 bytes for each defect pixel among the highest scores
    (`aupro="per_image"` adds 4 bytes an image).
    """

    histograms: Tensor
    lowest_bin: Tensor

    def ranking(self) -> Ranking:
        """The kept pixels one by one, below them the bins that hold a defect pixel."""
        top = self._top()
        normal, defects, weights = self.histograms.cpu().numpy()
        reached = np.cumsum(normal[::-1])[::-1]
        bins = np.flatnonzero(defects[: int(self.lowest_bin)])[::-1]
        return Ranking(
            values=np.r_[top.values, _lower_edges(bins)],
            positives=np.r_[top.positives, defects[bins]],
            weights=np.r_[top.weights, weights[bins] / _WEIGHT_UNIT] / max(int(self.regions), 1),
            negatives_above=np.r_[top.negatives_above, (reached - normal)[bins]],
            negatives_tied=np.r_[top.negatives_tied, normal[bins]],
            negative_count=int(reached[0]),
            binned=np.r_[np.zeros(len(top.values), bool), np.ones(len(bins), bool)],
        )

    def _add_pixel_states(self) -> None:
        super()._add_pixel_states()
        # Rows: normal pixels, defect pixels, weights of defect pixels. Integers: neither the order
        # of the images nor the device changes a bit.
        empty = torch.zeros((3, 2**BITS), dtype=torch.int64)
        self.add_state("histograms", default=empty, dist_reduce_fx="sum")
        self.add_state("lowest_bin", default=torch.tensor(0), dist_reduce_fx="max")

    def _keep(self, pixels: Tensor, defects: Tensor, areas: Tensor) -> None:
        bins, defect_bins = _bins(pixels), _bins(defects)
        normal, positives, weights = self.histograms
        one = torch.ones((), dtype=torch.int64, device=pixels.device)
        normal.index_add_(0, bins, one.expand(bins.shape))
        normal.index_add_(0, defect_bins, -one.expand(defect_bins.shape))
        positives.index_add_(0, defect_bins, one.expand(defect_bins.shape))
        weights.index_add_(0, defect_bins, _WEIGHT_UNIT // areas)
        top, top_defects = bins >= self.lowest_bin, defect_bins >= self.lowest_bin
        super()._keep(pixels[top], defects[top_defects], areas[top_defects])
        if sum(map(len, self.pixels)) > KEPT_PIXELS:
            self._give_up_the_lowest()

    def _give_up_the_lowest(self) -> None:
        above = self.histograms[:2].sum(dim=0).flip(0).cumsum(0)
        self.lowest_bin = (above > KEPT_PIXELS // 2).sum()
        top = [pixels[_bins(pixels) >= self.lowest_bin] for pixels in self.pixels]
        places = [_bins(defects) >= self.lowest_bin for defects in self.defects]
        self.areas = [area[place] for area, place in zip(self.areas, places, strict=True)]
        self.defects = [pixel[place] for pixel, place in zip(self.defects, places, strict=True)]
        self.pixels = top

    def _top(self) -> Ranking:
        """The ranking of the kept pixels, each defect pixel weighted by one over its area."""
        pixels, defects = joined(self.pixels), joined(self.defects)
        lowest = int(self.lowest_bin)  # another process may have given up more than this one
        kept = (_bins(torch.from_numpy(defects)) >= lowest).numpy()
        top = pixels[(_bins(torch.from_numpy(pixels)) >= lowest).numpy()]
        return rank(top, defects[kept], 1 / joined(self.areas)[kept].astype(np.float64))


def _bins(scores: Tensor) -> Tensor:
    """The bin of each float32 score, (N,) int64, rising with the score."""
    bits = (scores + 0.0).view(torch.int32)  # adding zero makes -0.0 the 0.0 that it equals
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats count downwards in their bits
    return (rising >> (32 - BITS)).long() + 2 ** (BITS - 1)


def _lower_edges(bins: np.ndarray) -> np.ndarray:
    """The lowest score of each bin, float32."""
    rising = ((bins - 2 ** (BITS - 1)) << (32 - BITS)).astype(np.int32)
    return (rising ^ ((rising >> 31) & 0x7FFFFFFF)).view(np.float32)

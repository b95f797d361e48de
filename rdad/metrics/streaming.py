"""The pixel figures in memory that does not grow with the number of images."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdad.metrics.pixel import PixelMetrics, joined
from rdad.metrics.ranking import Ranking, rank

BITS = 21  # sign, exponent and 12 bits of the mantissa: bins 0.01 to 0.02 % wide at any size
KEPT_PIXELS = 2**23  # 128 images of 256×256
_PIXELS_AT_ONCE = 2**20  # bounds what counting needs for a moment
_WEIGHT_UNIT = 2**42  # of a region; sums of up to two million regions fit int64


class StreamingPixelMetrics(PixelMetrics):
    """`PixelMetrics` from the highest scores as they are, and histograms of all the others.

    Up to 8 million pixels everything is exact. Then the pixels with the lower scores are given up,
    down to the 4 million highest, and counted in bins over the upper bits of the float32 score, as
    if positives and negatives of a bin were mixed evenly. On smooth maps that is within 1e-6 of
    exact. It is further off where many low scores are the very same number (average precision),
    and where the threshold of F1-max has over 4 million alarms.

    Memory, whatever the number of images: 101 MB for the histograms and their empty default, 38 MB
    for the highest scores and 8 bytes for each defect pixel among them; about 40 MB more for a
    moment while scores are given up (`aupro="per_image"` adds 4 bytes an image).
    """

    histograms: Tensor
    lowest: Tensor

    def ranking(self) -> Ranking:
        """The kept pixels one by one, below them the bins that hold a defect pixel."""
        top = self._top()
        normal, defects, weights = self.histograms.cpu().numpy()
        reached = np.cumsum(normal[::-1])[::-1]
        bins = np.flatnonzero(defects[: int(_bins(self.lowest))])[::-1]
        return Ranking(
            values=np.r_[top.values, _lower_edges(bins)],
            positives=np.r_[top.positives, defects[bins]],
            weights=np.r_[top.weights, weights[bins] / _WEIGHT_UNIT] / max(int(self.regions), 1),
            negatives_above=np.r_[top.negatives_above, (reached - normal)[bins]],
            negatives_tied=np.r_[top.negatives_tied, normal[bins]],
            negative_count=int(reached[0]),
            binned=np.r_[np.zeros(len(top.values), bool), np.ones(len(bins), bool)],
        )

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles make rooms of their own."""
        return super().__getstate__() | {"_rooms": {}}

    def _add_pixel_states(self) -> None:
        self._rooms: dict[str, Tensor] = {}
        super()._add_pixel_states()
        # Rows: normal pixels, defect pixels, weights of defect pixels. Integers: neither the order
        # of the images nor the device changes a bit.
        empty = torch.zeros((3, 2**BITS), dtype=torch.int64)
        self.add_state("histograms", default=empty, dist_reduce_fx="sum")
        self.add_state("lowest", default=torch.tensor(-torch.inf), dist_reduce_fx="max")

    def _keep(self, pixels: Tensor, defects: Tensor, areas: Tensor) -> None:
        normal, positives, weights = self.histograms
        for part in pixels.split(_PIXELS_AT_ONCE):
            _count(normal, _bins(part), 1)
            self._append("pixels", part[part >= self.lowest])
            if sum(map(len, self.pixels)) > KEPT_PIXELS:
                self._give_up_the_lowest()
        for part, part_areas in zip(
            defects.split(_PIXELS_AT_ONCE), areas.split(_PIXELS_AT_ONCE), strict=True
        ):
            bins, high = _bins(part), part >= self.lowest
            _count(normal, bins, -1)
            _count(positives, bins, 1)
            weights.index_add_(0, bins, _WEIGHT_UNIT // part_areas)
            self._append("defects", part[high])
            self._append("areas", part_areas[high].to(torch.float32))

    def _give_up_the_lowest(self) -> None:
        below = torch.add(self.histograms[0], self.histograms[1]).cumsum_(0)
        lowest_bin = torch.searchsorted(below, below[-1:] - KEPT_PIXELS // 2)[0] + 1
        self.lowest = self.lowest.new_tensor(float(_lower_edges(lowest_bin.cpu().numpy())))
        high_pixels = self._held("pixels") >= self.lowest
        high_defects = self._held("defects") >= self.lowest
        for state, high in (
            ("pixels", high_pixels),
            ("defects", high_defects),
            ("areas", high_defects),
        ):
            kept = self._held(state)[high]
            setattr(self, state, [])
            self._append(state, kept)

    def _append(self, state: str, values: Tensor) -> None:
        """Put `values` behind the state, which is one tensor at the start of a room of its own.

        A list of ever more small tensors would be as long, but between them the allocator keeps
        holes, and the process grows with the images after all.
        """
        held, room = self._held(state), self._room(state, values)
        if held.data_ptr() != room.data_ptr():  # after gathering the state is a copy
            room[: len(held)] = held
        room[len(held) : len(held) + len(values)] = values
        setattr(self, state, [room[: len(held) + len(values)]])

    def _held(self, state: str) -> Tensor:
        tensors: list[Tensor] = getattr(self, state)
        return tensors[0] if len(tensors) == 1 else torch.cat([self.lowest.new_empty(0), *tensors])

    def _room(self, state: str, values: Tensor) -> Tensor:
        room = self._rooms.get(state)
        if room is None or room.device != values.device:
            # Memory that is not written to costs nothing on the host.
            room = values.new_empty(KEPT_PIXELS + _PIXELS_AT_ONCE)
            self._rooms[state] = room
        return room

    def _top(self) -> Ranking:
        """The ranking of the kept pixels, each defect pixel weighted by one over its area."""
        pixels, defects, areas = map(joined, (self.pixels, self.defects, self.areas))
        lowest = float(self.lowest)  # another process may have given up more than this one
        high = defects >= lowest
        return rank(pixels[pixels >= lowest], defects[high], 1 / areas[high].astype(np.float64))


def _count(histogram: Tensor, bins: Tensor, by: int) -> None:
    histogram.index_add_(0, bins, torch.full_like(bins[:1], by).expand(bins.shape))


def _bins(scores: Tensor) -> Tensor:
    """The bin of each float32 score, int64, rising with the score."""
    bits = (scores + 0.0).view(torch.int32)  # adding zero makes -0.0 the 0.0 that it equals
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats count downwards in their bits
    return (rising >> (32 - BITS)).long() + 2 ** (BITS - 1)


def _lower_edges(bins: np.ndarray) -> np.ndarray:
    """The lowest score of each bin, float32."""
    rising = ((bins - 2 ** (BITS - 1)) << (32 - BITS)).astype(np.int32)
    return (rising ^ ((rising >> 31) & 0x7FFFFFFF)).view(np.float32)

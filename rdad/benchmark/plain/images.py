"""Images as the authors' loader reads them: each from its file, each time it is asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from rdad.data.samples import Sample

Item = tuple[Tensor, Tensor, int]


class PlainImages(Dataset[Item]):
    """(image, mask, label): float32 (3, H, W) normalised, bool (H, W), 0 or 1.

    Args:
        size: (height, width).
        mean, std: Of pixels in [0, 1], (3, 1, 1).
    """

    def __init__(
        self, samples: Sequence[Sample], size: tuple[int, int], mean: Tensor, std: Tensor
    ) -> None:
        self.samples, self.size, self.mean, self.std = samples, size, mean.cpu(), std.cpu()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        sample = self.samples[index]
        image = self._resized(Image.open(sample.image).convert("RGB"))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        mask = torch.zeros(self.size, dtype=torch.bool)
        if sample.mask is not None:
            grey = self._resized(Image.open(sample.mask).convert("L"))
            mask = torch.from_numpy(np.array(grey) / 255 > 0.5)
        return (pixels.float() / 255 - self.mean) / self.std, mask, sample.label

    def _resized(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        return image.resize((width, height), Image.Resampling.BILINEAR)

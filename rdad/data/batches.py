"""Decoded pixels -> batches: one indexing a batch, and an order that seed and epoch fix."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.utils.data import DataLoader, Dataset, Sampler, default_convert

from rdad.data.decoded import Decoded
from rdad.data.samples import Sample
from rdad.data.tiles import Tiles

Batch = dict[str, torch.Tensor]


class ImageSet(Dataset[Batch]):
    """Some rows of decoded pixels, with what is known of them; gives whole batches.

    Args:
        samples: All that `source` has, in its order.
        rows: Those of this split.
        defect_types: The names whose places are the codes; normal images get -1.

    Attributes:
        with_pixels: False gives batches of nothing but `indices`, and `valid` where that is.
    """

    with_pixels = True

    def __init__(
        self,
        samples: Sequence[Sample],
        source: Decoded | Tiles,
        rows: ArrayLike,
        defect_types: Sequence[str],
    ) -> None:
        self.source = source
        self.rows = np.asarray(rows, np.int64)
        self.valid = source.valid
        chosen = [samples[row] for row in self.rows]
        codes = {name: code for code, name in enumerate(defect_types)}
        self.labels = torch.tensor([one.label for one in chosen], dtype=torch.int64)
        self.codes = torch.tensor(
            [codes[one.defect_type] if one.label else -1 for one in chosen], dtype=torch.int64
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch of these samples; see AnomalyDataModule for its parts."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        rows = self.rows[chosen.numpy()]
        looked_at = {}
        if self.valid is not None:
            valid = np.stack([self.valid[row] for row in rows])
            looked_at = {"valid": torch.from_numpy(valid)[:, None]}  # (B, 1, H, W)
        if not self.with_pixels:
            return {"indices": chosen, **looked_at}
        pixels, defects = self.source.batch(rows)
        images, masks = torch.from_numpy(pixels), torch.from_numpy(defects)
        return {
            "images": images.permute(0, 3, 1, 2).contiguous(),  # (B, 3, H, W)
            "labels": self.labels[chosen],
            "masks": masks[:, None],  # (B, 1, H, W)
            "indices": chosen,
            "defect_types": self.codes[chosen],
            **looked_at,
        }


class EpochShuffle(Sampler[int]):
    """All indices below `length`, in an order that depends on seed and epoch alone.

    Lightning sets the epoch, so a resumed training goes on with the order it would have had;
    elsewhere each iteration is the next epoch.
    """

    def __init__(self, length: int, *, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        key = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(key >> np.uint64(1)))
        self.epoch += 1
        yield from torch.randperm(self.length, generator=generator).tolist()


def loader(
    images: ImageSet, *, batch_size: int, sampler: Sampler[int] | None = None
) -> DataLoader[Batch]:
    """In this process: gathering decoded pixels is quicker than any worker's start."""
    return DataLoader(images, batch_size=batch_size, sampler=sampler, collate_fn=default_convert)

"""What a user meets: defects found and false alarms, at thresholds set before the test."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from rdad.metrics.regions import touched_regions

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

GOOD_IMAGE = "normal image"
_CALLED, _ALL = 0, 1  # columns of all counts: called defective, and how many there are


class ThresholdMetrics(Metric):
    """`image_recall`, `image_false_alarm_rate`, `pixel_recall`, `pixel_false_alarm_rate`, `seg_f1`,
    `region_recall`, `false_regions`.

    Recall is the share of defective images, and of pixels inside masks, that are called so; the
    false-alarm rate is that of good images, and of their pixels, as it was asked for when the
    thresholds were found: the surroundings of a defect, which it makes bright too, are no false
    alarm. `seg_f1` is F1 of all pixels of all images together, and there they are (MVTec AD 2's
    SegF1; Heckler-Kram et al. 2025, arXiv 2503.21622). `region_recall` is the share of the masks'
    regions of which any pixel is called, `false_regions` how many regions of called pixels an image
    has, on average over all images, that touch no mask. With more than one defect type also
    `image_recall/<type>`. A figure that is not defined is nan; after `compute`, `undefined` maps
    its name to the reason.

    Memory: a few counters.

    Args:
        thresholds: Raw scores strictly above them are defects.
        defect_types: Names of the defect types; their places are the codes given to `update`.
    """

    full_state_update = False
    images: Tensor
    pixels: Tensor
    regions: Tensor
    without_mask: Tensor

    def __init__(
        self, thresholds: "Thresholds", defect_types: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.thresholds = thresholds
        self.defect_types = tuple(defect_types)
        self.undefined: dict[str, str] = {}
        rows = 1 + max(len(self.defect_types), 1)  # good images, then each defect type
        shapes = {"images": (rows, 2), "pixels": (3, 2), "regions": (2, 2), "without_mask": ()}
        for state, shape in shapes.items():
            empty = torch.zeros(shape, dtype=torch.int64)
            self.add_state(state, default=empty, dist_reduce_fx="sum")

    def update(
        self,
        scores: Tensor,
        labels: Tensor,
        maps: Tensor,
        masks: Tensor | None = None,
        defect_types: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> None:
        """Add a batch: as `AnomalyMetrics.update`, which checks it."""
        codes = torch.zeros_like(labels)
        if defect_types is not None and len(self.defect_types) > 1:
            codes = defect_types
        rows = torch.where(labels > 0, codes + 1, 0).to(self.images.device)
        called = (scores > self.thresholds.image.value).to(rows)
        added = torch.stack([called, torch.ones_like(called)], dim=1)
        self.images = self.images.index_add(0, rows, added)
        above = maps > self.thresholds.pixel.value
        counted = torch.ones_like(above) if valid is None else valid
        good = counted & (labels == 0).to(above.device)[:, None, None, None]
        defects = torch.zeros_like(above) if masks is None else counted & (masks > 0)
        self.without_mask = self.without_mask + (len(maps) if masks is None else 0)
        counts = [[int((above & one).sum()), int(one.sum())] for one in (good, defects, counted)]
        self.pixels = self.pixels + self.pixels.new_tensor(counts)
        if masks is not None:
            called, true = (one[:, 0].cpu().numpy() for one in (counted & above, defects))
            counts = [touched_regions(true, called), touched_regions(called, true)]
            self.regions = self.regions + self.regions.new_tensor(counts)

    def compute(self) -> dict[str, float]:
        """All figures by name: nan, or shares in [0, 1] but for `false_regions`, a number."""
        self.undefined = {}
        good, *types = self.images.tolist()
        defective = [sum(column) for column in zip(*types, strict=True)]
        figures = {
            "image_recall": self._share("image_recall", defective, "anomalous image"),
            "image_false_alarm_rate": self._share("image_false_alarm_rate", good, GOOD_IMAGE),
        }
        if len(types) > 1:
            for kind, counts in zip(self.defect_types, types, strict=True):
                name = f"image_recall/{kind}"
                figures[name] = self._share(name, counts, f"image of {kind}")
        return figures | self._pixel_figures() | self._region_figures()

    def reset(self) -> None:
        """Forget all batches."""
        with torch.inference_mode(False):
            super().reset()
        self.undefined = {}

    def _pixel_figures(self) -> dict[str, float]:
        good, defects, every = self.pixels.tolist()
        # 2 TP / (2 TP + FP + FN) = 2 TP / (pixels called + defect pixels)
        overlap = (2 * defects[_CALLED], every[_CALLED] + defects[_ALL])
        return {
            "pixel_recall": self._of_masks("pixel_recall", defects, defects),
            "pixel_false_alarm_rate": self._share("pixel_false_alarm_rate", good, GOOD_IMAGE),
            "seg_f1": self._of_masks("seg_f1", overlap, defects),
        }

    def _region_figures(self) -> dict[str, float]:
        true, (touching, called) = self.regions.tolist()
        false = (called - touching, int(self.images[:, _ALL].sum()))
        return {
            "region_recall": self._of_masks("region_recall", true, self.pixels[1].tolist()),
            "false_regions": self._of_masks("false_regions", false, false),
        }

    def _of_masks(self, name: str, counts: Sequence[int], defects: Sequence[int]) -> float:
        """What only masks can tell; nan where an image has none, or none marks one of `defects`."""
        if self.without_mask:
            total = int(self.images[:, _ALL].sum())
            self.undefined[name] = f"{int(self.without_mask)} of {total} images came without a mask"
            return float("nan")
        return self._share(name, counts if defects[_ALL] else (0, 0), "defect pixel in any mask")

    def _share(self, name: str, counts: Sequence[int], missing: str) -> float:
        if not counts[_ALL]:
            self.undefined[name] = f"there is no {missing}"
            return float("nan")
        return counts[_CALLED] / counts[_ALL]

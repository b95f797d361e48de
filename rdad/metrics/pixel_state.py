"""What the pixel figures are computed from: the pixels of all maps, gathered batch by batch."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from rdad.metrics.exact import checked_limit
from rdad.metrics.ranking import Ranking, rank
from rdad.metrics.regions import image_aupros, region_areas

if TYPE_CHECKING:
    from rdad.metrics.curves import Curve

AuproDefinition = Literal["dataset", "per_image"]


class PixelState(Metric):
    """Keeps the raw pixels of all maps, and the defect pixels again with the area of their region.

    Memory: 4 bytes a pixel, and 8 more a defect pixel; 22 MB for 83 maps of 256×256. Under DDP each
    process holds that of all processes while it computes.
    """

    full_state_update = False
    pixels: list[Tensor]
    defects: list[Tensor]
    areas: list[Tensor]
    each_aupro: list[Tensor]
    regions: Tensor
    images: Tensor
    without_mask: Tensor

    def __init__(
        self, *, fpr_limit: float = 0.3, aupro: AuproDefinition = "dataset", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if aupro not in ("dataset", "per_image"):
            raise ValueError(f"aupro is {aupro!r}; allowed: 'dataset', 'per_image'")
        self.fpr_limit = checked_limit(fpr_limit)
        self.aupro = aupro
        self.undefined: dict[str, str] = {}
        self.curves: dict[str, Curve] = {}
        self.add_state("each_aupro", default=[], dist_reduce_fx="cat")
        for counter in ("regions", "images", "without_mask"):
            self.add_state(counter, default=torch.tensor(0), dist_reduce_fx="sum")
        self._add_pixel_states()

    def update(self, maps: Tensor, masks: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            maps: (B, 1, H, W), raw, any real numbers; kept in float32. Batches may differ in size.
            masks: The same shape, true or 1 at defects; None where the data set has none.

        Raises:
            ValueError: shapes differ, a map holds NaN, or a mask something other than 0 and 1.
        """
        if masks is None:
            self.images = self.images + len(maps)
            self.without_mask = self.without_mask + len(maps)
            return
        _check(maps, masks)
        self.images = self.images + len(maps)
        maps, masks = maps.detach().float(), masks > 0
        on_host = masks[:, 0].cpu().numpy()
        areas, count = region_areas(on_host)
        self.regions = self.regions + count
        self._keep(maps.flatten(), maps[masks], torch.from_numpy(areas).to(maps.device))
        if self.aupro == "per_image":
            each = image_aupros(maps[:, 0].cpu().numpy(), on_host, fpr_limit=self.fpr_limit)
            self.each_aupro.append(torch.from_numpy(each).to(maps.device, torch.float32))

    def reset(self) -> None:
        """Forget all batches."""
        # States made in inference mode could not be added to outside it.
        with torch.inference_mode(False):
            super().reset()
        self.undefined, self.curves = {}, {}

    def ranking(self) -> Ranking:
        """The pixels that `update` was given, weighted by regions."""
        weights = 1 / (joined(self.areas).astype(np.float64) * max(int(self.regions), 1))
        return rank(joined(self.pixels), joined(self.defects), weights)

    def aupro_of(self, ranking: Ranking) -> float:
        """AUPRO by the definition chosen; where that is nan, `undefined` gets the reason."""
        if self.aupro == "dataset":
            return ranking.partial_area(self.fpr_limit)
        each = joined(self.each_aupro).astype(np.float64)
        if np.isnan(each).any():
            self.undefined["aupro"] = (
                f"{int(np.isnan(each).sum())} of {each.size} anomalous images have no curve below "
                f"a false-positive rate of {self.fpr_limit}"
            )
        return float(each.mean())

    def reason_undefined(self, ranking: Ranking) -> str | None:
        """Why no figure is defined, or None."""
        if not self.images:
            return "no image was scored"
        if self.without_mask:
            return f"{int(self.without_mask)} of {int(self.images)} images came without a mask"
        if not ranking.positive_count:
            return "there is no defect pixel in any mask"
        return None if ranking.negative_count else "there is no normal pixel in any image"

    def _add_pixel_states(self) -> None:
        for state in ("pixels", "defects", "areas"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def _keep(self, pixels: Tensor, defects: Tensor, areas: Tensor) -> None:
        self.pixels.append(pixels.clone())
        self.defects.append(defects)
        # Areas are float32, exact up to 2^24 pixels: a rank without data contributes an empty
        # float32 tensor, and gathering wants one dtype on all ranks.
        self.areas.append(areas.to(torch.float32))


def joined(state: list[Tensor] | Tensor) -> np.ndarray:
    """A list state as one array on the host, before and after gathering; empty is float32."""
    tensors = [state] if isinstance(state, Tensor) else state
    return torch.cat(tensors).cpu().numpy() if tensors else np.zeros(0, dtype=np.float32)


def _check(maps: Tensor, masks: Tensor) -> None:
    if maps.ndim != 4 or maps.shape[1] != 1 or masks.shape != maps.shape:
        raise ValueError(
            f"maps are {tuple(maps.shape)} and masks {tuple(masks.shape)}; "
            "both must be (B, 1, H, W)"
        )
    if torch.isnan(maps).any():
        spoilt = int(torch.isnan(maps).flatten(1).any(dim=1).sum())
        raise ValueError(f"{spoilt} of {len(maps)} maps hold NaN")
    if masks.dtype != torch.bool and not ((masks == 0) | (masks == 1)).all():
        raise ValueError(f"masks must hold 0 and 1; found {masks.unique()[:5].tolist()}")

"""Figures of the anomaly maps, pixel by pixel and region by region."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from rdad.metrics.exact import checked_limit
from rdad.metrics.ranking import Curve, Ranking, rank
from rdad.metrics.regions import image_aupros, region_areas

AuproDefinition = Literal["dataset", "per_image"]


class PixelMetrics(Metric):
    """`pixel_auroc`, `pixel_ap`, `pixel_f1_max` and `aupro` of raw maps: exact, from one sort.

    A figure that is not defined is nan; after `compute`, `undefined` maps its name to the reason,
    `curves` holds `pixel_roc` and `pro`, and `curve_areas` what lies under them, under `pro` up to
    `fpr_limit`.

    Memory: 4 bytes a pixel, and 8 more a defect pixel; 22 MB for 83 maps of 256×256. Under DDP each
    process holds that of all processes while it computes.

    Args:
        fpr_limit: The false-positive rate up to which AUPRO is taken.
        aupro: `dataset`: one curve over all images (MVTec's); `per_image`: the mean of a curve for
            each anomalous image (the authors', which flatters; see `image_aupros`).
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
        self.curve_areas: dict[str, float] = {}
        self.add_state("each_aupro", default=[], dist_reduce_fx="cat")
        for counter in ("regions", "images", "without_mask"):
            self.add_state(counter, default=torch.tensor(0), dist_reduce_fx="sum")
        self._add_pixel_states()

    def update(
        self, maps: Tensor, masks: Tensor | None = None, valid: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            maps: (B, 1, H, W), raw, any real numbers; kept in float32. Batches may differ in size.
            masks: The same shape, true or 1 at defects; None where the data set has none.
            valid: The same shape, bool: the pixels that count, all others being left out, also of
                defects; None where all count.

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
        masks = masks if valid is None else masks & valid
        on_host = masks[:, 0].cpu().numpy()
        areas, count = region_areas(on_host)
        self.regions = self.regions + count
        counted = maps.flatten() if valid is None else maps[valid]
        self._keep(counted, maps[masks], torch.from_numpy(areas).to(maps.device))
        if self.aupro == "per_image":
            given = maps[:, 0].cpu().numpy(), on_host
            counting = None if valid is None else valid[:, 0].cpu().numpy()
            each = image_aupros(*given, fpr_limit=self.fpr_limit, valid=counting)
            self.each_aupro.append(torch.from_numpy(each).to(maps.device, torch.float32))

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan."""
        ranking = self.ranking()
        reason = self._reason_undefined(ranking)
        names = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
        self.undefined = dict.fromkeys(names, reason) if reason else {}
        if reason:
            self.curve_areas = {}
            self.curves = dict.fromkeys(("pixel_roc", "pro"), Curve(np.zeros(0), np.zeros(0)))
            return dict.fromkeys(names, float("nan"))
        figures = {f"pixel_{name}": value for name, value in ranking.figures().items()}
        self.curves = {"pixel_roc": ranking.roc(), "pro": ranking.pro()}
        self.curve_areas = {
            "pixel_roc": figures["pixel_auroc"],
            "pro": ranking.partial_area(self.fpr_limit),
        }
        return figures | {"aupro": self._aupro(ranking)}

    def reset(self) -> None:
        """Forget all batches."""
        # States made in inference mode could not be added to outside it.
        with torch.inference_mode(False):
            super().reset()
        self.undefined, self.curves, self.curve_areas = {}, {}, {}

    def ranking(self) -> Ranking:
        """The pixels that `update` was given, weighted by regions."""
        weights = 1 / (joined(self.areas).astype(np.float64) * max(int(self.regions), 1))
        return rank(joined(self.pixels), joined(self.defects), weights)

    def _aupro(self, ranking: Ranking) -> float:
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

    def _reason_undefined(self, ranking: Ranking) -> str | None:
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


class AUPRO(PixelMetrics):
    """Area under the per-region overlap, over the false-positive rate up to `fpr_limit`.

    MVTec's definition (see `rdad.metrics.exact.aupro`), or with `per_image` the authors'. Not
    defined: nan, and `undefined["aupro"]` says why. Memory as in `PixelMetrics`.
    """

    def __init__(self, fpr_limit: float = 0.3, per_image: bool = False, **kwargs: Any) -> None:
        definition: AuproDefinition = "per_image" if per_image else "dataset"
        super().__init__(fpr_limit=fpr_limit, aupro=definition, **kwargs)

    def compute(self) -> Tensor:  # type: ignore[override]
        """A float64 scalar in [0, 1], or nan."""
        ranking = self.ranking()
        reason = self._reason_undefined(ranking)
        self.undefined = {"aupro": reason} if reason else {}
        value = float("nan") if reason else self._aupro(ranking)
        return torch.tensor(value, dtype=torch.float64)


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

"""AU-sPRO of a test, at the images' own sizes, where a data set says how much is enough."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rdad.data.images import DataError
from rdad.data.samples import defect_types_of
from rdad.data.saturation import DEFECTS_CONFIG, Saturation, read_regions, read_saturations
from rdad.detector.scoring import stretched_map, stretched_mask
from rdad.metrics.groups import Groups, group_mean, groups_among, groups_of
from rdad.metrics.joint import over_categories
from rdad.metrics.spro import SaturatedOverlap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rdad.data import AnomalyDataModule
    from rdad.data.samples import Sample

NAME = "au_spro"


def overlaps_for(
    datamodule: "AnomalyDataModule", *, fpr_limit: float = 0.05, groups: Groups = None
) -> "SaturatedOverlaps | JointOverlaps | None":
    """For the test images of a prepared data module; None where nothing says what is enough.

    Of several categories they are those of each for which something does.

    Raises:
        rdad.data.DataError: what is said cannot be read.
        ValueError: as `groups_of`.
    """
    groups_of(groups, datamodule.defect_types)
    members = {}
    for category in datamodule.categories or ("",):
        images = zip(datamodule.test_samples, datamodule.test_sizes, strict=True)
        samples, sizes = zip(*(one for one in images if one[0].category == category), strict=True)
        path, types = _defects_config(samples), defect_types_of(samples)
        if path is not None and any(one.mask for one in samples):
            own = groups_of(groups_among(groups, types), types)
            saturations = read_saturations(path)
            overlaps = SaturatedOverlaps(samples, sizes, saturations, own, fpr_limit=fpr_limit)
            members[category] = overlaps
    return JointOverlaps(members) if members and datamodule.categories else members.get("")


class SaturatedOverlaps:
    """`au_spro` of all test images; of groups `au_spro/<group>`, each with all good images, and
    `au_spro_group_mean`.

    Memory: as `SaturatedOverlap`, for each group again.

    Args:
        samples, sizes: All test images, and the (height, width) of each.
        saturations: By the values in the mask files.
        groups: Defect types by the name of their group.
    """

    def __init__(
        self,
        samples: "Sequence[Sample]",
        sizes: Sequence[tuple[int, int]],
        saturations: Mapping[int, Saturation],
        groups: Mapping[str, Sequence[str]],
        *,
        fpr_limit: float,
    ) -> None:
        self.undefined: dict[str, str] = {}
        self._samples, self._saturations, self._groups = samples, saturations, groups
        every = {sample.defect_type for sample in samples if sample.label}
        self._types = {NAME: every} | {f"{NAME}/{key}": {*one} for key, one in groups.items()}
        areas = list(zip(samples, map(math.prod, sizes), strict=True))
        self._overlaps = {
            name: SaturatedOverlap(
                sum(area for one, area in areas if _is_among(one, types)), fpr_limit=fpr_limit
            )
            for name, types in self._types.items()
        }

    def check(self) -> None:
        """Read all regions once. Raises rdad.data.DataError: lists the masks that do not fit."""
        problems: list[str] = []
        for sample in self._samples:
            try:
                read_regions(sample.masks, self._saturations)
            except DataError as error:
                problems += error.problems
        if problems:
            raise DataError(problems)

    def add(
        self,
        sample: "Sample",
        size: tuple[int, int],
        anomaly_map: "NDArray[np.float32]",
        valid: "NDArray[np.bool_] | None" = None,
    ) -> None:
        """Take a test image's raw map (h, w), to be stretched to its `size` (height, width).

        Args:
            valid: As the map, False at pixels that are left out.
        """
        stretched = stretched_map(anomaly_map, size)
        counted = None if valid is None else stretched_mask(valid, size)
        regions = read_regions(sample.masks, self._saturations)
        for name, types in self._types.items():
            if _is_among(sample, types):
                self._overlaps[name].add(stretched, regions, counted)

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan; `undefined` then maps a name to the reason."""
        figures = {name: overlap.area() for name, overlap in self._overlaps.items()}
        lost = [name for name, value in figures.items() if math.isnan(value)]
        self.undefined = dict.fromkeys(lost, "there is no defect, or no normal pixel")
        return figures | group_mean(NAME, figures, self._groups, self.undefined)


class JointOverlaps:
    """`SaturatedOverlaps` of several categories, named as `over_categories` does."""

    def __init__(self, members: Mapping[str, SaturatedOverlaps]) -> None:
        self.undefined: dict[str, str] = {}
        self._members = members

    def check(self) -> None:
        """As `SaturatedOverlaps.check`, of one category behind the other."""
        for overlaps in self._members.values():
            overlaps.check()

    def add(
        self,
        sample: "Sample",
        size: tuple[int, int],
        anomaly_map: "NDArray[np.float32]",
        valid: "NDArray[np.bool_] | None" = None,
    ) -> None:
        """As `SaturatedOverlaps.add`, for the category of the sample."""
        if (overlaps := self._members.get(sample.category)) is not None:
            overlaps.add(sample, size, anomaly_map, valid)

    def compute(self) -> dict[str, float]:
        """All figures by name, in [0, 1] or nan; `undefined` then maps a name to the reason."""
        found = {name: overlaps.compute() for name, overlaps in self._members.items()}
        reasons = {name: overlaps.undefined for name, overlaps in self._members.items()}
        figures, self.undefined = over_categories(found, reasons)
        return figures


def _is_among(sample: "Sample", types: set[str]) -> bool:
    return not sample.label or sample.defect_type in types


def _defects_config(samples: "Sequence[Sample]") -> Path | None:
    """Of `<category>/test/<type>/<image>`, the file in the category's folder, if there is one."""
    above = samples[0].image.parents
    path = above[min(2, len(above) - 1)] / DEFECTS_CONFIG
    return path if path.is_file() else None

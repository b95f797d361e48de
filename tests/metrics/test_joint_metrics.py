"""Figures by category and their means, beside those of each category alone."""

import math
from typing import Any

import pytest
import torch

from rdad.metrics import AnomalyMetrics
from rdad.metrics.joint import JointMetrics, ScoredCategory, over_categories

TYPES = ("bent", "dent", "hole")
NUT, BOLT = ScoredCategory("nut", ("dent",), True), ScoredCategory("bolt", ("bent", "hole"), True)
KINDS = ["good", "dent", "good", "dent", "good", "bent", "hole", "good", "hole"]
OF = torch.tensor([0] * 4 + [1] * 5)


def batch(types: tuple[str, ...], rows: slice) -> dict[str, Any]:
    """Of 9 images, 4 of nut and 5 of bolt, those rows; codes are places in `types`."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([kind != "good" for kind in KINDS]).int()
    maps = torch.rand(9, 1, 8, 8, generator=generator)
    masks = torch.zeros(9, 1, 8, 8, dtype=torch.bool)
    masks[labels > 0, :, :3, 2:5] = True
    maps[masks] += 0.3
    codes = torch.tensor([types.index(kind) if kind in types else -1 for kind in KINDS])
    whole = {"scores": maps.amax((1, 2, 3)), "labels": labels, "maps": maps, "masks": masks}
    return {name: value[rows] for name, value in (whole | {"defect_types": codes}).items()}


@pytest.mark.parametrize("further", [{}, {"streaming": True}, {"groups": "types"}])
def test_figures_are_those_of_each_category_alone(further: dict[str, Any]) -> None:
    joint = JointMetrics([NUT, BOLT], defect_types=TYPES, **further)
    for rows in (slice(0, 3), slice(3, 7), slice(7, 9)):
        joint.update(**batch(TYPES, rows), categories=OF[rows])
    found = joint.compute()
    for category, rows in ((NUT, slice(0, 4)), (BOLT, slice(4, 9))):
        alone = AnomalyMetrics(defect_types=category.defect_types, **further)
        alone.update(**batch(category.defect_types, rows))
        for name, value in alone.compute().items():
            metric, slash, kind = name.partition("/")
            assert found[f"{metric}/{category.name}{slash}{kind}"] == value
    assert found["aupro"] == pytest.approx((found["aupro/nut"] + found["aupro/bolt"]) / 2)
    assert "image_auroc/bolt/hole" in found and joint.undefined == {}


def test_groups_are_those_that_a_category_has_types_of() -> None:
    groups = {"shape": ["bent", "dent"], "loss": ["hole"]}
    joint = JointMetrics([NUT, BOLT], defect_types=TYPES, groups=groups)
    joint.update(**batch(TYPES, slice(9)), categories=OF)
    found = joint.compute()
    assert {"image_auroc/nut/shape", "image_auroc/bolt/loss"} <= found.keys()
    assert "image_auroc/nut/loss" not in found
    means = [found[f"image_auroc_group_mean/{name}"] for name in ("nut", "bolt")]
    assert found["image_auroc_group_mean"] == pytest.approx(sum(means) / 2)


def test_a_category_without_masks_leaves_the_mean_undefined_and_says_so() -> None:
    joint = JointMetrics([NUT, BOLT._replace(has_masks=False)], defect_types=TYPES)
    joint.update(**batch(TYPES, slice(9)), categories=OF)
    found = joint.compute()
    assert math.isnan(found["pixel_auroc"]) and not math.isnan(found["pixel_auroc/nut"])
    assert joint.undefined["aupro"].startswith("aupro/bolt is undefined: ")
    joint.reset()
    joint.update(**batch(TYPES, slice(9)), categories=OF)
    assert joint.compute()["image_auroc"] == found["image_auroc"]


def test_there_is_no_mean_of_what_not_all_have() -> None:
    figures, undefined = over_categories({"a": {"x": 1.0, "y": 0.5}, "b": {"x": 0.0}}, {})
    assert figures == {"x": 0.5, "x/a": 1.0, "y/a": 0.5, "x/b": 0.0} and undefined == {}

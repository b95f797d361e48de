"""Defect types taken together."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from rdad.metrics import AnomalyMetrics, ImageMetrics
from rdad.metrics.groups import groups_of

TYPES = ["crack", "missing", "swapped"]
LOGICAL = {"logical": ["missing", "swapped"], "structural": ["crack"]}


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    codes = torch.arange(40) % 4 - 1
    return torch.rand(40), (codes >= 0).long(), codes


def test_a_group_is_held_against_all_good_images_and_the_mean_is_of_the_groups() -> None:
    scores, labels, codes = batch()
    metric = ImageMetrics(TYPES, LOGICAL)
    metric.update(scores, labels, codes)
    found = metric.compute()
    expected = {}
    for name, chosen in (("logical", codes >= 1), ("structural", codes == 0)):
        rows = chosen | (labels == 0)
        expected[name] = roc_auc_score(labels[rows], scores[rows])
        assert found[f"image_auroc/{name}"] == pytest.approx(expected[name], abs=1e-12)
    assert found["image_auroc/structural"] == found["image_auroc/crack"]
    assert found["image_auroc_group_mean"] == pytest.approx(sum(expected.values()) / 2, abs=1e-12)
    assert found["image_auroc_group_mean"] != pytest.approx(found["image_auroc"], abs=1e-4)


def test_groups_change_no_other_figure_and_without_them_there_is_no_mean() -> None:
    plain, grouped = ImageMetrics(TYPES), ImageMetrics(TYPES, "types")
    for metric in (plain, grouped):
        metric.update(*batch())
    found = grouped.compute()
    mean = found.pop("image_auroc_group_mean")
    assert found == plain.compute()
    assert mean == pytest.approx(sum(found[f"image_auroc/{one}"] for one in TYPES) / 3)


def test_the_mean_is_undefined_where_a_group_is_and_says_which() -> None:
    metric = AnomalyMetrics(defect_types=TYPES, groups=LOGICAL)
    codes = torch.tensor([-1, 0])
    maps = torch.tensor([0.1, 0.9])[:, None, None, None]
    metric.update(scores=maps.flatten(), labels=codes + 1, maps=maps, defect_types=codes)
    assert math.isnan(metric.compute()["image_auroc_group_mean"])
    reason = "image_auroc/logical is undefined: there is no anomalous image"
    assert metric.undefined["image_auroc_group_mean"] == reason


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"logical": ["misplaced"]}, r"logical has misplaced; .* crack, missing, swapped"),
        ({"logical": []}, "logical has no defect type"),
        ({"crack": ["missing"]}, "crack has the name of a defect type"),
    ],
)
def test_groups_that_are_none_are_refused(groups: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        groups_of(groups, TYPES)

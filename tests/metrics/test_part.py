"""Items seen in several images, scored by their worst view."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from rdad.metrics import AnomalyMetrics, PartMetrics
from rdad.metrics.thresholds import Threshold, Thresholds

THRESHOLDS = Thresholds(
    Threshold(0.5, 4.0), Threshold(0.5, 4.0), 0.02, 0.001, images=5, guaranteed=False, note="few"
)


def given(scores: list[float], labels: list[int], parts: list[int]) -> dict[str, torch.Tensor]:
    return {
        "scores": torch.tensor(scores),
        "labels": torch.tensor(labels),
        "parts": torch.tensor(parts),
    }


def test_an_item_has_its_highest_score_and_is_anomalous_where_any_view_is() -> None:
    metric = PartMetrics(THRESHOLDS)
    metric.update(**given([0.1, 0.9], [1, 0], [0, 0]))
    metric.update(**given([0.2, 0.6, 0.4, 0.3], [0, 0, 1, 1], [1, 1, 2, 2]))
    found = metric.compute()
    assert found["part_auroc"] == 0.5  # 0.9 is above 0.6, 0.4 below it
    assert (found["part_recall"], found["part_false_alarm_rate"]) == (0.5, 1.0)
    assert metric.undefined == {}


def test_figures_are_those_of_the_items_one_by_one() -> None:
    random = np.random.default_rng(0)
    parts = random.integers(0, 40, 200)
    scores = random.normal(size=200).astype(np.float32)
    labels = (random.random(200) < 0.1).astype(int)
    metric = PartMetrics()
    for rows in np.array_split(np.arange(200), 7):
        metric.update(**given(scores[rows].tolist(), labels[rows].tolist(), parts[rows].tolist()))
    items = [parts == part for part in np.unique(parts)]
    worst = [max(scores[item]) for item in items]
    anomalous = [int(labels[item].any()) for item in items]
    found = metric.compute()
    assert found["part_auroc"] == pytest.approx(roc_auc_score(anomalous, worst))
    assert found["part_ap"] == pytest.approx(average_precision_score(anomalous, worst))


def test_what_is_undefined_is_nan_and_says_why() -> None:
    metric = PartMetrics(THRESHOLDS)
    metric.update(**given([0.1, 0.9], [0, 0], [0, 1]))
    found = metric.compute()
    names = ("part_auroc", "part_ap", "part_f1_max", "part_recall")
    assert metric.undefined == dict.fromkeys(names, "there is no anomalous part")
    assert all(math.isnan(found[name]) for name in names)
    assert found["part_false_alarm_rate"] == 0.5


def test_the_collection_has_figures_of_parts_only_where_there_are_parts() -> None:
    maps = torch.rand(2, 1, 4, 4)
    batch = {"scores": torch.tensor([0.1, 0.9]), "labels": torch.tensor([0, 1]), "maps": maps}
    with_parts, without = AnomalyMetrics(parts=True), AnomalyMetrics()
    with_parts.update(**batch, parts=torch.tensor([0, 1]))
    without.update(**batch)
    found = with_parts.compute()
    assert found["part_auroc"] == 1
    assert found.keys() - without.compute().keys() == {"part_auroc", "part_ap", "part_f1_max"}

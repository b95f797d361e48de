"""Recall and false alarms at thresholds that were set before."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from maps_to_score import smooth_maps
from sklearn.metrics import f1_score
from slow_metrics import slow_f1

from rdad.metrics import AnomalyMetrics, ThresholdMetrics
from rdad.metrics.thresholds import Threshold, Thresholds

OF_MASKS = {"pixel_recall", "seg_f1", "region_recall", "false_regions"}


def thresholds(image: float = 0.5, pixel: float = 0.5) -> Thresholds:
    parts = Threshold(image, 4.0), Threshold(pixel, 4.0)
    return Thresholds(*parts, 0.02, 0.001, images=5, guaranteed=False, note="few")


def batch(scores: list[float], types: list[int], **changed: Any) -> dict[str, Any]:
    """One 1×1 map an image; type -1 is good, and each defect's mask covers its image."""
    maps = torch.tensor(scores)[:, None, None, None]
    labels = (torch.tensor(types) >= 0).long()
    parts = {
        "scores": maps.flatten(),
        "labels": labels,
        "maps": maps,
        "masks": labels.bool()[:, None, None, None],
        "defect_types": torch.tensor(types),
    }
    return parts | changed


def test_the_figures_by_hand() -> None:
    metric = ThresholdMetrics(thresholds(), ["bent", "cut"])
    metric.update(**batch([0.1, 0.5, 0.6, 0.2], [-1, -1, -1, 0]))  # at the threshold is good
    metric.update(**batch([0.9, 0.8, 0.7], [0, 0, 1]))
    assert metric.compute() == {
        "image_recall": 3 / 4,
        "image_false_alarm_rate": 1 / 3,
        "image_recall/bent": 2 / 3,
        "image_recall/cut": 1.0,
        "pixel_recall": 3 / 4,
        "pixel_false_alarm_rate": 1 / 3,
        "seg_f1": 2 * 3 / (4 + 4),  # three of four defects are called, and one good pixel
        "region_recall": 3 / 4,
        "false_regions": 1 / 7,
    }
    assert metric.undefined == {}


def test_pixels_are_counted_inside_masks_and_in_good_images() -> None:
    maps, masks = smooth_maps(7, (20, 30), seed=4)
    metric = AnomalyMetrics(thresholds=thresholds(pixel=0.25))
    for first in range(0, 7, 3):
        part, mask = maps[first : first + 3], masks[first : first + 3]
        metric.update(
            scores=torch.from_numpy(part.max(axis=(1, 2))),
            labels=torch.from_numpy(mask.any(axis=(1, 2))).long(),
            maps=torch.from_numpy(part)[:, None],
            masks=torch.from_numpy(mask)[:, None],
        )
    found, called = metric.compute(), maps > np.float32(0.25)
    assert found["pixel_recall"] == (called & masks).sum() / masks.sum()
    assert found["pixel_false_alarm_rate"] == called[~masks.any((1, 2))].mean()
    assert 0 < found["pixel_false_alarm_rate"] < found["pixel_recall"]
    assert found["seg_f1"] == pytest.approx(slow_f1(called, masks), abs=1e-15)
    assert found["seg_f1"] != pytest.approx(f1_score(masks[-1].ravel(), called[-1].ravel()), 1e-3)


def test_f1_counts_alarms_beside_a_defect_and_in_good_images_alike() -> None:
    maps = torch.tensor([[[[0.9, 0.9, 0.1]]], [[[0.9, 0.1, 0.1]]]])
    masks = torch.tensor([[[[True, False, True]]], [[[False, False, False]]]])
    metric = ThresholdMetrics(thresholds())
    scores = maps.amax((1, 2, 3))
    metric.update(scores, torch.tensor([1, 0]), maps, masks)
    assert metric.compute()["seg_f1"] == 2 * 1 / (2 * 1 + 2 + 1)


def test_one_defect_type_has_no_figures_of_its_own() -> None:
    metric = ThresholdMetrics(thresholds(), ["bent"])
    metric.update(**batch([0.9, 0.1], [0, -1]))
    assert "image_recall/bent" not in metric.compute()


def test_what_is_undefined_is_nan_and_says_why() -> None:
    metric = ThresholdMetrics(thresholds(), ["bent", "cut"])
    metric.update(**batch([0.9, 0.1], [0, 0], masks=None))
    found = metric.compute()
    assert metric.undefined == {
        "image_false_alarm_rate": "there is no normal image",
        "image_recall/cut": "there is no image of cut",
        "pixel_false_alarm_rate": "there is no normal image",
        **dict.fromkeys(OF_MASKS, "2 of 2 images came without a mask"),
    }
    assert all(math.isnan(found[name]) for name in metric.undefined)
    assert found["image_recall"] == 0.5


def test_false_alarms_of_pixels_need_no_masks() -> None:
    metric = ThresholdMetrics(thresholds(), [])
    metric.update(**batch([0.9, 0.1, 0.2, 0.9], [-1, -1, -1, 0], masks=None))
    assert metric.compute()["pixel_false_alarm_rate"] == 1 / 3
    assert set(metric.undefined) == OF_MASKS


def test_good_images_alone_give_false_alarms_and_no_recall() -> None:
    metric = ThresholdMetrics(thresholds(), [])
    metric.update(**batch([0.9, 0.1, 0.2, 0.3], [-1] * 4))
    found = metric.compute()
    assert (found["image_false_alarm_rate"], found["pixel_false_alarm_rate"]) == (0.25, 0.25)
    assert set(metric.undefined) == {"image_recall", *OF_MASKS} - {"false_regions"}
    assert found["false_regions"] == 0.25


def test_without_thresholds_the_figures_are_left_out() -> None:
    metric = AnomalyMetrics()
    metric.update(**batch([0.9, 0.1], [0, -1]))
    assert not {"image_recall", "pixel_recall"} & set(metric.compute())


def test_reset_forgets_all_batches() -> None:
    metric = ThresholdMetrics(thresholds(), ["bent"])
    with torch.inference_mode():
        metric.update(**batch([0.9, 0.9], [-1, -1]))
    metric.compute()
    metric.reset()
    metric.update(**batch([0.1, 0.1, 0.9, 0.9], [-1, -1, 0, 0]))
    assert set(metric.compute().values()) == {0.0, 1.0}


def test_regions_are_touched_where_a_pixel_is_common() -> None:
    true = [["11...1", "......", "1...1."], ["1.....", "......", "......"]]
    called = [[".1.1.1", "......", "......"], ["......", "..1..1", ".1...."]]

    def pictures(of: list[list[str]]) -> torch.Tensor:
        return torch.tensor([[[[sign == "1" for sign in line] for line in one]] for one in of])

    metric = ThresholdMetrics(thresholds())
    for maps, masks in zip(pictures(called).split(1), pictures(true).split(1), strict=True):
        metric.update(torch.ones(1), torch.ones(1).long(), maps.float(), masks)
    figures = metric.compute()
    assert figures["region_recall"] == 2 / 5  # of the first image's four, and of the second's one
    assert figures["false_regions"] == (1 + 2) / 2  # diagonal neighbours are one region


@pytest.mark.parametrize("score", [np.nextafter(np.float32(0.3), np.float32(1)), np.float32(0.3)])
def test_verdicts_are_those_of_the_threshold_itself_to_the_last_bit(score: np.float32) -> None:
    value = float(np.float32(0.3))
    metric = ThresholdMetrics(thresholds(image=value), [])
    metric.update(**batch([float(score)], [-1]))
    expected = Threshold(value, 4.0).exceeded(score)
    assert metric.compute()["image_false_alarm_rate"] == float(expected)

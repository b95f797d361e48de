"""Curves for plots."""

import numpy as np
import pytest
import torch
from maps_to_score import odd_maps, smooth_maps

from rdad.metrics import AnomalyMetrics, PixelMetrics, aupro, auroc, pro_curve, roc_curve


@pytest.mark.parametrize("name", odd_maps())
def test_the_area_under_the_whole_curve_is_the_figure(name):
    maps, masks = odd_maps()[name]
    roc, pro = roc_curve(maps, masks, points=10**6), pro_curve(maps, masks, points=10**6)
    assert np.trapezoid(roc.found, roc.fpr) == pytest.approx(auroc(maps, masks), abs=1e-12)
    whole = aupro(maps, masks, fpr_limit=1.0)
    assert np.trapezoid(pro.found, pro.fpr) == pytest.approx(whole, abs=1e-12)


def test_a_thinned_curve_rises_from_corner_to_corner_and_keeps_its_area():
    maps, masks = smooth_maps(8, seed=1)
    for thin, area in (
        (roc_curve(maps, masks), auroc(maps, masks)),
        (pro_curve(maps, masks), aupro(maps, masks, fpr_limit=1.0)),
    ):
        assert 500 < len(thin.fpr) == len(thin.found) <= 1000
        assert (thin.fpr[0], thin.found[0], thin.fpr[-1], thin.found[-1]) == (0, 0, 1, 1)
        assert (np.diff(thin.fpr) >= 0).all() and (np.diff(thin.found) >= 0).all()
        assert np.trapezoid(thin.found, thin.fpr) == pytest.approx(area, abs=1e-4)


def test_one_class_has_an_empty_curve():
    assert roc_curve([0.1, 0.2], [1, 1]).fpr.size == 0


def test_the_collection_keeps_the_curves_of_its_last_result():
    maps, masks = smooth_maps(8, seed=1)
    metric = AnomalyMetrics()
    inputs = torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None]
    labels = inputs[1].flatten(1).any(dim=1)
    metric.update(scores=inputs[0].amax((1, 2, 3)), labels=labels, maps=inputs[0], masks=inputs[1])
    metric.compute()
    assert list(metric.curves) == ["image_roc", "pixel_roc", "pro"]
    np.testing.assert_allclose(metric.curves["pro"], pro_curve(maps, masks), atol=1e-12)
    assert list(metric.curve_areas) == ["image_roc", "pixel_roc", "pro"]
    assert metric.curve_areas["pixel_roc"] == pytest.approx(auroc(maps, masks), abs=1e-12)


def test_the_area_beside_the_pro_curve_is_that_of_the_curve_also_with_per_image():
    maps, masks = smooth_maps(8, seed=1)
    metric = PixelMetrics(aupro="per_image")
    metric.update(torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None])
    figures = metric.compute()
    assert metric.curve_areas["pro"] == pytest.approx(aupro(maps, masks), abs=1e-12)
    assert metric.curve_areas["pro"] != pytest.approx(figures["aupro"], abs=1e-3)

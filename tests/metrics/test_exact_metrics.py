"""The exact figures against scikit-learn, a slow second implementation, and by hand."""

import subprocess
import sys

import numpy as np
import pytest
from maps_to_score import odd_maps, smooth_maps
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from slow_metrics import (
    slow_aupro,
    slow_aupro_per_image,
    slow_auroc,
    slow_average_precision,
    slow_f1_max,
)

from rdad.metrics.exact import aupro, aupro_per_image, auroc, average_precision, f1_max

ODD = odd_maps()


@pytest.fixture(params=ODD, ids=str)
def scored(request):
    return ODD[request.param]


def test_auroc_precision_and_f1_equal_a_loop_over_thresholds(scored):
    maps, masks = scored
    assert auroc(maps, masks) == pytest.approx(slow_auroc(maps, masks), abs=1e-12)
    assert average_precision(maps, masks) == pytest.approx(
        slow_average_precision(maps, masks), abs=1e-12
    )
    assert f1_max(maps, masks)[0] == pytest.approx(slow_f1_max(maps, masks), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in ODD if name != "infinite"])
def test_auroc_precision_and_f1_equal_scikit_learn(name):
    maps, masks = ODD[name]
    scores, labels = maps.ravel(), masks.ravel()
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )
    assert f1_max(scores, labels)[0] == pytest.approx(f1.max(), abs=1e-12)


def test_scores_may_be_whole_numbers():
    scores, labels = [1, 2, 2, 3], [0, 0, 1, 1]
    assert auroc(scores, labels) == 3.5 / 4
    assert f1_max(scores, labels) == (0.8, 2)
    maps, masks = np.arange(16, dtype=np.uint8).reshape(1, 4, 4), np.eye(4, dtype=bool)[None]
    assert aupro(maps, masks) == aupro(maps.astype(np.float64), masks)


@pytest.mark.parametrize("fpr_limit", [0.05, 0.3, 1.0])
def test_aupro_equals_a_loop_over_thresholds_and_flooded_regions(scored, fpr_limit):
    maps, masks = scored
    expected = slow_aupro(maps, masks, fpr_limit)
    assert aupro(maps, masks, fpr_limit=fpr_limit) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in ODD if name not in ("infinite", "all the same")])
def test_aupro_per_image_equals_the_loop_of_the_authors(name):
    maps, masks = ODD[name]
    expected = slow_aupro_per_image(maps, masks)
    assert aupro_per_image(maps, masks) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_aupro_per_image_of_a_constant_or_infinite_map_is_nan():
    assert np.isnan(aupro_per_image(*ODD["all the same"]))
    assert np.isnan(aupro_per_image(*ODD["infinite"]))


def test_aupro_per_image_flatters():
    maps, masks = smooth_maps(12, (64, 64), seed=2)
    assert aupro_per_image(maps, masks) > aupro(maps, masks) + 0.005


def test_figures_of_four_scores_worked_out_by_hand():
    scores, labels = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    assert auroc(scores, labels) == 0.75
    assert average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)
    assert f1_max(scores, labels) == (pytest.approx(0.8), 0.35)


def test_aupro_of_a_square_worked_out_by_hand():
    # Normal 4 and 1, defects 3 and 2: FPR 1/2 at overlap 0, and there the overlap climbs to 1.
    maps, masks = np.array([[[4.0, 3.0], [2.0, 1.0]]]), np.array([[[0, 1], [1, 0]]])
    assert aupro(maps, masks, fpr_limit=0.5) == 0
    assert aupro(maps, masks, fpr_limit=1.0) == 0.5


def test_a_tie_at_the_limit_is_cut_by_a_straight_line():
    # One step from (0, 0) to (1, 1): the area up to x is x² / 2.
    maps, masks = np.ones((1, 2, 2)), np.array([[[1, 0], [0, 0]]])
    assert aupro(maps, masks, fpr_limit=0.3) == pytest.approx(0.15)


def test_each_region_weighs_the_same_whatever_its_area():
    maps = np.zeros((2, 8, 8))
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, :4], masks[1, 6, 6] = True, True
    maps[0, :4] = 1.0  # the large region is found at once, the single pixel ties with the rest
    assert aupro(maps, masks, fpr_limit=0.3) == pytest.approx(0.5 + 0.5 * 0.15)


def test_regions_touch_at_corners_but_not_across_images():
    masks = np.zeros((2, 3, 3), dtype=bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[1, :2] = True
    maps = np.where(masks, 9.0, 0.0)
    maps[0, 1, 1], maps[0, 2, 2] = 1.0, 5.0  # half of the first region lies below a normal pixel
    # 1/2 of a region of two and all of a region of six; corners apart: 2/3; images joined: 7/8.
    assert aupro(maps, masks, fpr_limit=1 / 10) == pytest.approx(0.75)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 3, 4)])
def test_one_class_is_nan_and_never_zero(label, shape):
    scores, labels = np.ones(shape), np.full(shape, label)
    figures = [auroc(scores, labels), average_precision(scores, labels), *f1_max(scores, labels)]
    assert np.isnan([*figures, aupro(scores, labels), aupro_per_image(scores, labels)]).all()


@pytest.mark.parametrize("raised", [lambda x: x**3, lambda x: np.log(x) - 50, lambda x: 1e6 * x])
def test_rising_functions_of_the_scores_change_nothing(raised):
    maps, masks = smooth_maps(6, seed=4)
    maps = maps.astype(np.float64)  # in float32 such functions would make new ties
    for figure in (auroc, average_precision, aupro):
        assert figure(raised(maps), masks) == pytest.approx(figure(maps, masks), abs=1e-13)
    assert f1_max(raised(maps), masks)[0] == f1_max(maps, masks)[0]


def test_the_order_of_the_images_does_not_matter():
    maps, masks = smooth_maps(9, seed=5)
    order = np.random.default_rng(0).permutation(9)
    for figure in (auroc, average_precision, f1_max, aupro, aupro_per_image):
        assert figure(maps[order], masks[order]) == pytest.approx(figure(maps, masks), abs=1e-13)


def test_scores_sorted_in_parts_rank_like_scores_sorted_at_once():
    draw = np.random.default_rng(0)
    scores = draw.integers(0, 3000, 1_700_001).astype(np.float32)  # sorted in several threads
    labels = draw.random(scores.size) < 0.02 + scores / 1e5
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, np.nan], [0, 1], "1 of 2 scores are NaN"),
        ([0.1, 0.2], [0, 1, 1], r"\(2,\) and labels \(3,\)"),
        ([0.1, 0.2], [0, 255], "found .*255"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_the_reason(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        auroc(scores, labels)


def test_a_limit_or_a_shape_out_of_range_is_refused():
    with pytest.raises(ValueError, match="fpr_limit is 30"):
        aupro(np.ones((1, 2, 2)), np.ones((1, 2, 2)), fpr_limit=30)
    with pytest.raises(ValueError, match=r"\(2, 2\); allowed: \(N, H, W\)"):
        aupro(np.ones((2, 2)), np.ones((2, 2)))


def test_the_functions_need_neither_torch_nor_torchmetrics():
    code = (
        "import sys; from rdad.metrics import auroc, pro_curve; "
        "sys.exit(str(sorted({'torch', 'torchmetrics', 'pandas', 'sklearn'} & set(sys.modules))) "
        "if {'torch', 'torchmetrics', 'pandas', 'sklearn'} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

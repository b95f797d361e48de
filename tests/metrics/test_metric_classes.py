"""The torchmetrics classes: what they hold and say, and that they agree with the functions."""

import copy
import pickle

import numpy as np
import pytest
import torch
from maps_to_score import odd_maps, smooth_maps
from sklearn.metrics import roc_auc_score
from torchmetrics import Metric, MetricCollection

from rdad.metrics import AUPRO, AnomalyMetrics, ImageMetrics, PixelMetrics
from rdad.metrics.exact import aupro, aupro_per_image, auroc, average_precision, f1_max
from rdad.metrics.thresholds import Threshold, Thresholds

NAMES = ["image_auroc", "image_ap", "image_f1_max"]
PIXEL_NAMES = ["pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"]
ODD = odd_maps()
AT = Threshold(0.2, 4.0)
THRESHOLDS = Thresholds(AT, AT, 0.02, 0.001, images=10, guaranteed=False, note="few")


def batch(maps, masks):
    """Keyword arguments of `AnomalyMetrics.update`."""
    maps, masks = torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None]
    return {
        "scores": maps.amax(dim=(1, 2, 3)),
        "labels": masks.flatten(1).any(dim=1).long(),
        "maps": maps,
        "masks": masks,
    }


def figures(metric, maps, masks, size=4):
    for first in range(0, len(maps), size):
        metric.update(**batch(maps[first : first + size], masks[first : first + size]))
    return metric.compute()


@pytest.mark.parametrize("name", ODD)
def test_the_collection_gives_what_the_functions_give(name):
    maps, masks = ODD[name]
    maps = maps.astype(np.float32)
    found = figures(AnomalyMetrics(), maps, masks, size=3)
    assert list(found) == NAMES + PIXEL_NAMES
    assert found["pixel_auroc"] == auroc(maps, masks)
    assert found["pixel_ap"] == average_precision(maps, masks)
    assert found["pixel_f1_max"] == f1_max(maps, masks)[0]
    assert found["aupro"] == pytest.approx(aupro(maps, masks), abs=1e-12)


@pytest.mark.parametrize("fpr_limit", [0.05, 0.3])
def test_aupro_alone_gives_both_definitions(fpr_limit):
    maps, masks = smooth_maps(6, seed=1)
    inputs = torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None]
    for per_image, expected in ((False, aupro), (True, aupro_per_image)):
        metric = AUPRO(fpr_limit=fpr_limit, per_image=per_image)
        metric.update(*inputs)
        assert float(metric.compute()) == pytest.approx(
            expected(maps, masks, fpr_limit=fpr_limit), abs=1e-6
        )
        assert metric.undefined == {}


def test_the_collection_offers_the_definition_of_the_authors_by_name():
    maps, masks = smooth_maps(6, seed=1)
    found = figures(AnomalyMetrics(aupro="per_image"), maps, masks)["aupro"]
    assert found == pytest.approx(aupro_per_image(maps, masks), abs=1e-6)
    with pytest.raises(ValueError, match=r"aupro is 'image'; allowed: 'dataset', 'per_image'"):
        AnomalyMetrics(aupro="image")  # type: ignore[arg-type]


def test_scores_are_taken_as_they_are_without_a_sigmoid():
    scores = torch.tensor([-5.0, 30.0, 30.5, 31.0, 300.0, 301.0])
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    metric = ImageMetrics()
    for one in range(6):  # a sigmoid would make one number of all the large scores
        metric.update(scores[one : one + 1], labels[one : one + 1])
    assert metric.compute()["image_auroc"] == pytest.approx(roc_auc_score(labels, scores))


def test_each_defect_type_is_held_against_all_normal_images():
    draw = np.random.default_rng(0)
    scores, labels = torch.from_numpy(draw.random(40)), torch.arange(40) % 2
    types = torch.from_numpy(draw.integers(0, 3, 40))
    metric = ImageMetrics(["bent", "scratch", "stain"])
    metric.update(scores, labels, types)
    found = metric.compute()
    assert list(found)[3:6] == [f"{name}/bent" for name in NAMES]
    for code, name in enumerate(metric.defect_types):
        chosen = (labels == 0) | (types == code)
        expected = roc_auc_score(labels[chosen], scores[chosen].float())
        assert found[f"image_auroc/{name}"] == pytest.approx(expected, abs=1e-12)


def test_one_defect_type_is_not_reported_twice():
    metric = ImageMetrics(["scratch"])
    metric.update(torch.rand(4), torch.tensor([0, 1, 0, 1]), torch.zeros(4))
    assert list(metric.compute()) == NAMES


def test_a_defect_type_without_images_is_nan_with_its_reason():
    metric = ImageMetrics(["scratch", "stain"])
    metric.update(torch.rand(4), torch.tensor([0, 1, 0, 1]), torch.zeros(4))
    assert np.isnan(metric.compute()["image_ap/stain"])
    assert metric.undefined["image_ap/stain"] == "there is no anomalous image"
    assert "image_ap/scratch" not in metric.undefined


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("mask", "image_reason", "pixel_reason"),
    [
        (0, "there is no anomalous image", "there is no defect pixel in any mask"),
        (1, "there is no normal image", "there is no normal pixel in any image"),
    ],
)
def test_one_class_is_nan_with_its_reason(mask, image_reason, pixel_reason, streaming):
    maps, _ = smooth_maps(3, (8, 8))
    metric = AnomalyMetrics(streaming=streaming)
    assert np.isnan(list(figures(metric, maps, np.full(maps.shape, bool(mask))).values())).all()
    assert metric.undefined == {
        **dict.fromkeys(NAMES, image_reason),
        **dict.fromkeys(PIXEL_NAMES, pixel_reason),
    }


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
@pytest.mark.parametrize("streaming", [False, True])
def test_without_an_image_every_figure_is_nan_with_its_reason(streaming):
    metric = AnomalyMetrics(streaming=streaming)
    assert np.isnan(list(metric.compute().values())).all()
    assert metric.undefined == dict.fromkeys(NAMES + PIXEL_NAMES, "no image was scored")


def test_without_masks_the_pixel_figures_are_nan_with_the_reason():
    maps, masks = smooth_maps(6)
    metric = AnomalyMetrics()
    given = batch(maps, masks)
    del given["masks"]
    metric.update(**given)
    found = metric.compute()
    assert found["image_auroc"] >= 0
    assert metric.undefined == dict.fromkeys(PIXEL_NAMES, "6 of 6 images came without a mask")
    assert np.isnan([found[name] for name in PIXEL_NAMES]).all()


def test_an_image_without_a_curve_makes_aupro_per_image_nan_with_the_reason():
    maps, masks = smooth_maps(6)
    maps[-1] = 0.5
    metric = AnomalyMetrics(aupro="per_image")
    assert np.isnan(figures(metric, maps, masks)["aupro"])
    assert "1 of 4 anomalous images" in metric.undefined["aupro"]


def test_reset_forgets_everything_also_in_inference_mode():
    maps, masks = smooth_maps(6)
    for streaming in (False, True):
        metric = AnomalyMetrics(streaming=streaming)
        first = figures(metric, maps, masks)
        with torch.inference_mode():
            figures(metric, -maps, masks)
            metric.reset()
        assert metric.undefined == metric.curves == {}
        assert figures(metric, maps, masks) == first


def test_compute_does_not_end_the_counting():
    maps, masks = smooth_maps(6)
    metric = AnomalyMetrics(streaming=True)
    figures(metric, maps[:3], masks[:3])
    assert figures(metric, maps[3:], masks[3:]) == figures(AnomalyMetrics(), maps, masks)


def test_maps_changed_after_the_update_change_nothing():
    maps, masks = smooth_maps(6)
    metric = AnomalyMetrics()
    inputs = batch(maps.copy(), masks)
    metric.update(**inputs)
    inputs["maps"].zero_()
    inputs["scores"].zero_()
    assert metric.compute() == figures(AnomalyMetrics(), maps, masks)


def test_batches_may_differ_in_image_size():
    small, small_masks = smooth_maps(3, (16, 16), seed=1)
    wide, wide_masks = smooth_maps(3, (16, 40), seed=2)
    metric = PixelMetrics()
    for maps, masks in ((small, small_masks), (wide, wide_masks)):
        metric.update(torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None])
    labels = np.r_[small_masks.ravel(), wide_masks.ravel()]
    assert metric.compute()["pixel_auroc"] == auroc(np.r_[small.ravel(), wide.ravel()], labels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_maps_and_masks_of_other_dtypes_are_taken(dtype):
    maps, masks = smooth_maps(6)
    inputs = batch(maps, masks)
    rounded = inputs["maps"].to(dtype)
    metric = AnomalyMetrics()
    metric.update(**inputs | {"maps": rounded, "masks": inputs["masks"].to(dtype)})
    expected = auroc(rounded.float().numpy()[:, 0], masks)
    assert metric.compute()["pixel_auroc"] == expected


@pytest.mark.parametrize("streaming", [False, True])
def test_copies_and_pickles_go_on_counting(streaming):
    maps, masks = smooth_maps(6)
    metric = AnomalyMetrics(streaming=streaming)
    whole = figures(copy.deepcopy(metric), maps, masks)
    metric.update(**batch(maps[:4], masks[:4]))
    for copied in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert figures(copied, maps[4:], masks[4:]) == whole


def test_a_module_holds_the_metrics_without_adding_to_its_checkpoint():
    module = torch.nn.Module()
    module.figures = AnomalyMetrics(streaming=True)
    assert isinstance(module.figures, MetricCollection)
    assert all(isinstance(metric, Metric) for metric in module.figures.values())
    assert not module.state_dict()
    assert not list(module.parameters())


def test_a_batch_that_is_refused_leaves_no_trace():
    maps, masks = smooth_maps(6)
    metric = PixelMetrics()
    spoilt = torch.from_numpy(maps)[:, None].clone()
    spoilt[2, 0, 3, 3] = torch.nan
    inputs = torch.from_numpy(masks)[:, None]
    with pytest.raises(ValueError, match="1 of 6 maps hold NaN"):
        metric.update(spoilt, inputs)
    metric.update(torch.from_numpy(maps)[:, None], inputs)
    assert metric.compute()["pixel_auroc"] == auroc(maps, masks)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scores": torch.tensor([0.1, torch.nan])}, "1 of 2 scores are NaN"),
        ({"labels": torch.tensor([0, 2])}, r"labels must be 0 or 1; found \[0, 2\]"),
        ({"labels": torch.tensor([[0], [1]])}, r"all must be \(B,\)"),
        ({"defect_types": torch.tensor([0, 2])}, r"\[2\]; allowed .*\['bent', 'stain'\]"),
        ({"defect_types": None}, r"are None; allowed .*\['bent', 'stain'\]"),
        ({"maps": torch.ones(2, 4, 4)}, r"must be \(B, 1, H, W\)"),
        ({"masks": torch.ones(2, 1, 4, 5)}, r"masks \(2, 1, 4, 5\)"),
        ({"masks": torch.full((2, 1, 4, 4), 255)}, r"0 and 1; found \[255\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(changed, message):
    inputs = {
        "scores": torch.tensor([0.1, 0.2]),
        "labels": torch.tensor([0, 1]),
        "maps": torch.ones(2, 1, 4, 4),
        "masks": torch.ones(2, 1, 4, 4),
        "defect_types": torch.tensor([0, 1]),
    }
    with pytest.raises(ValueError, match=message):
        AnomalyMetrics(defect_types=["bent", "stain"]).update(**inputs | changed)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("definition", ["dataset", "per_image"])
def test_with_ignored_pixels_all_figures_are_those_of_the_rest_alone(definition, streaming):
    maps, masks = smooth_maps(6, (40, 48), seed=5)
    valid = np.zeros(maps.shape, bool)
    valid[:, 6:34, 10:41] = True
    options = {"aupro": definition, "streaming": streaming, "thresholds": THRESHOLDS}
    whole, alone = AnomalyMetrics(**options), AnomalyMetrics(**options)
    rest = batch(maps[:, 6:34, 10:41].copy(), masks[:, 6:34, 10:41].copy())
    of_image = {name: rest[name] for name in ("scores", "labels")}
    whole.update(**batch(maps, masks) | of_image, valid=torch.from_numpy(valid)[:, None])
    alone.update(**rest)
    found = whole.compute()
    assert found == alone.compute()
    assert found != figures(AnomalyMetrics(**options), maps, masks, size=6)
    assert 0 < found["pixel_auroc"] < 1 and 0 < found["seg_f1"] < 1

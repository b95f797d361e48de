"""Saturated per-region overlap against a loop over thresholds, and by hand."""

import numpy as np
import pytest
from maps_to_score import odd_maps, smooth_maps
from slow_metrics import slow_au_spro, slow_regions

from rdad.metrics import SaturatedOverlap, au_spro, aupro, spro

ODD = odd_maps()
LIMITS = (0.05, 0.3, 1.0)


def saturated(masks, *, seed=0):
    """Each connected region apart, enough being some part of it; two overlap, one is in parts."""
    draw = np.random.default_rng(seed)
    regions = []
    for mask in masks:
        found = slow_regions(mask)
        found += [np.roll(found[0], 2, axis=1), mask] if found else []
        regions.append([(one, int(draw.integers(1, one.sum() + 1))) for one in found])
    return regions


@pytest.mark.parametrize("room", [1, 2**20])
@pytest.mark.parametrize("name", ODD)
def test_it_equals_a_loop_over_thresholds(name, room, monkeypatch):
    monkeypatch.setattr(spro, "ROOM", room)
    maps, masks = (one[:, :14] for one in ODD[name])
    regions = saturated(masks)
    for limit, expected in zip(LIMITS, slow_au_spro(maps, regions, LIMITS), strict=True):
        assert au_spro(maps, regions, fpr_limit=limit) == pytest.approx(expected, abs=1e-12)


def test_maps_may_differ_in_size_and_their_order_does_not_matter():
    maps, masks = smooth_maps(6, (16, 20), seed=1)
    maps = [*maps, *(one[:9, :11] for one in maps)]
    regions = [*saturated(masks), *([] for _ in masks)]
    found = au_spro(maps, regions)
    assert found == pytest.approx(*slow_au_spro(maps, regions, [0.05]), abs=1e-12)
    assert found == pytest.approx(au_spro(maps[::-1], regions[::-1]), abs=1e-12)


def test_where_every_pixel_is_needed_it_is_aupro():
    maps, masks = smooth_maps(6, seed=3)
    regions = [[(one, int(one.sum())) for one in slow_regions(mask)] for mask in masks]
    for limit in LIMITS:
        expected = aupro(maps, masks, fpr_limit=limit)
        assert au_spro(maps, regions, fpr_limit=limit) == pytest.approx(expected, abs=1e-12)


def test_a_region_worked_out_by_hand():
    # Above all normal pixels lies one of two that are enough, above half of them the second; the
    # third pixel of the region, below them all, is not needed.
    maps = [np.array([[9.0, 5.0, 0.0, 7.0, 3.0]])]
    regions = [[(np.array([[True, True, True, False, False]]), 2)]]
    assert au_spro(maps, regions, fpr_limit=0.5) == 0.5
    assert au_spro(maps, regions, fpr_limit=1.0) == 0.75


def test_a_pixel_of_another_region_is_no_false_positive():
    maps = [np.array([[9.0, 8.0, 7.0, 1.0]])]
    first, second = np.eye(4, dtype=bool)[[2, 0]].reshape(2, 1, 4)
    assert au_spro(maps, [[(first, 1)]], fpr_limit=1.0) == pytest.approx(1 / 3)
    both = [(first, 1), (first | second, 1)]
    assert au_spro(maps, [both], fpr_limit=1.0) == pytest.approx((1 / 2 + 1) / 2)


def test_ties_where_pixels_are_given_up_are_counted(monkeypatch):
    monkeypatch.setattr(spro, "ROOM", 1)
    maps = [np.repeat([0.0, 1.0, 2.0], (40, 50, 10)).reshape(10, 10)] * 9
    mask = np.zeros((10, 10), bool)
    mask[5] = True  # in the midst of the ones
    regions = [[(mask, 4)], *([] for _ in maps[1:])]
    (expected,) = slow_au_spro(maps, regions, [0.2])
    assert 0 < expected < 0.5
    assert au_spro(maps, regions, fpr_limit=0.2) == pytest.approx(expected, abs=1e-12)


def test_what_is_kept_does_not_grow_with_the_maps(monkeypatch):
    monkeypatch.setattr(spro, "ROOM", 100)
    overlap = SaturatedOverlap(200 * 64 * 64, fpr_limit=0.01)
    for seed in range(20):
        for one in smooth_maps(10, seed=seed)[0]:
            overlap.add(one)
            assert sum(map(len, overlap._normal)) <= 1.5 * overlap._most + 1


def test_without_a_region_or_a_normal_pixel_it_is_nan():
    everything = np.ones((2, 2), bool)
    assert np.isnan(au_spro([np.ones((2, 2))], [[]]))
    assert np.isnan(au_spro([np.ones((2, 2))], [[(everything, 1)]]))


@pytest.mark.parametrize(
    ("anomaly_map", "mask", "enough", "message"),
    [
        (np.array([[1.0, np.nan]]), [[1, 0]], 1, "1 pixels of a map are NaN"),
        (np.ones((1, 2)), [[1, 0, 0]], 1, r"\(1, 2\) and a region's mask \(1, 3\)"),
        (np.ones((1, 2)), [[1, 0]], 2, "2 pixels are to be enough of a region of 1"),
        (np.ones((1, 2)), [[0, 0]], 0, "0 pixels are to be enough of a region of 0"),
        (np.ones((1, 1, 2)), [[1, 0]], 1, r"a map is \(1, 1, 2\)"),
    ],
)
def test_what_cannot_be_scored_is_refused(anomaly_map, mask, enough, message):
    with pytest.raises(ValueError, match=message):
        au_spro([anomaly_map], [[(np.array(mask, bool), enough)]])


def test_more_pixels_than_announced_are_refused():
    overlap = SaturatedOverlap(3)
    with pytest.raises(ValueError, match="4 pixels came; announced: 3"):
        overlap.add(np.ones((2, 2)))


def test_ignored_pixels_are_left_out_of_regions_and_of_normal_pixels():
    draw = np.random.default_rng(4)
    maps = draw.random((3, 12, 16))
    regions = []
    for _ in maps:
        mask = draw.random((12, 16)) < 0.2
        regions.append([(mask, 9)])
    lost = np.zeros((12, 16), bool)
    lost[:, 12:] = True
    valid = np.ones((12, 16), bool)
    valid[:, 12:] = False
    overlap, alone = (SaturatedOverlap(maps.size, fpr_limit=0.3) for _ in range(2))
    for anomaly_map, own in zip(maps, regions, strict=True):
        overlap.add(anomaly_map, [*own, (lost, 3)], valid)
        rest = [(mask[:, :12], min(enough, mask[:, :12].sum())) for mask, enough in own]
        alone.add(anomaly_map[:, :12], rest)
    assert overlap.area() == alone.area() > 0

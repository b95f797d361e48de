"""The streaming figures: close to exact, in bounded memory."""

import numpy as np
import pytest
import torch
from maps_to_score import odd_maps, smooth_maps

from rdad.metrics import AnomalyMetrics, PixelMetrics, StreamingPixelMetrics, streaming


def figures(metric, maps, masks, size=8):
    for first in range(0, len(maps), size):
        part = slice(first, first + size)
        metric.update(torch.from_numpy(maps[part])[:, None], torch.from_numpy(masks[part])[:, None])
    return metric.compute()


@pytest.fixture(scope="module")
def scored():
    return smooth_maps(40, (256, 256), seed=8)


@pytest.mark.parametrize("kept", [2**20, 2**21])
@pytest.mark.parametrize("power", [1, 3])
def test_smooth_maps_come_within_a_millionth(scored, monkeypatch, kept, power):
    maps, masks = scored[0] ** power, scored[1]
    monkeypatch.setattr(streaming, "KEPT_PIXELS", kept)
    metric = StreamingPixelMetrics()
    found, exact = figures(metric, maps, masks), figures(PixelMetrics(), maps, masks)
    assert metric.lowest > -torch.inf  # it did give pixels up
    assert found == pytest.approx(exact, abs=1e-6)


def test_few_pixels_are_exact(scored):
    maps, masks = scored[0][-10:], scored[1][-10:]
    assert figures(StreamingPixelMetrics(), maps, masks) == pytest.approx(
        figures(PixelMetrics(), maps, masks), abs=1e-14
    )


@pytest.mark.parametrize("name", odd_maps())
def test_bins_alone_hold_any_scores(monkeypatch, name):
    maps, masks = odd_maps()[name]
    maps = maps.astype(np.float32)
    monkeypatch.setattr(streaming, "KEPT_PIXELS", 1)
    found, exact = (
        figures(metric, maps, masks) for metric in (StreamingPixelMetrics(), PixelMetrics())
    )
    for figure in ("pixel_auroc", "pixel_f1_max", "aupro"):
        assert found[figure] == pytest.approx(exact[figure], abs=2e-3)


def test_the_state_does_not_grow_with_the_images(monkeypatch):
    monkeypatch.setattr(streaming, "KEPT_PIXELS", 50_000)
    metric = StreamingPixelMetrics()
    sizes = []
    for seed in range(40):
        figures(metric, *smooth_maps(16, seed=seed))
        states = (metric.pixels, metric.defects, metric.areas)
        sizes.append(sum(tensor.numel() for state in states for tensor in state))
    assert max(sizes) <= 3 * 50_000
    assert max(map(len, (metric.pixels, metric.defects, metric.areas))) < 60  # of 80 batches


def test_the_order_of_the_images_changes_no_bit(monkeypatch):
    monkeypatch.setattr(streaming, "KEPT_PIXELS", 20_000)
    maps, masks = smooth_maps(16, seed=3)
    order = np.random.default_rng(0).permutation(16)
    first, second = StreamingPixelMetrics(), StreamingPixelMetrics()
    figures(first, maps, masks)
    figures(second, maps[order], masks[order])
    assert torch.equal(first.histograms, second.histograms)
    assert first.compute() == pytest.approx(second.compute(), abs=1e-9)


def test_bins_rise_with_the_scores_and_their_edges_lie_below():
    scores = torch.tensor(
        [-torch.inf, -3e38, -1.0, -1e-40, -0.0, 0.0, 1e-40, 1e-30, 0.5, 0.51, 3e38, torch.inf]
    )
    bins = streaming._bins(scores)
    assert (bins.diff() >= 0).all() and bins[4] == bins[5]
    edges = streaming._lower_edges(bins.numpy())
    assert (edges <= scores.numpy())[1:].all()
    assert int(bins.min()) >= 0 and int(bins.max()) < 2**streaming.BITS
    assert (streaming._bins(torch.from_numpy(edges[1:])) == bins[1:]).all()


def test_the_collection_streams_when_asked(scored):
    maps, masks = torch.from_numpy(scored[0])[:, None], torch.from_numpy(scored[1])[:, None]
    found = []
    for stream in (False, True):
        metric = AnomalyMetrics(streaming=stream)
        labels = masks.flatten(1).any(dim=1)
        metric.update(scores=maps.amax((1, 2, 3)), labels=labels, maps=maps, masks=masks)
        found.append(metric.compute())
    assert found[0] == pytest.approx(found[1], abs=1e-6)

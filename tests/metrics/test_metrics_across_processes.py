"""Two processes that share the images out give what one process gives."""

import json
import os

import commands  # noqa: F401  what the forked processes have imported
import pytest
import torch
from maps_to_score import smooth_maps
from torch import distributed
from torch.multiprocessing.spawn import start_processes as start

from rdad.metrics import AnomalyMetrics, streaming
from rdad.metrics.thresholds import Threshold, Thresholds

ONE = Threshold(0.3, 4.0)
THRESHOLDS = Thresholds(ONE, ONE, 0.02, 0.001, images=10, guaranteed=False, note="few")
KINDS = {
    "exact": {},
    "authors": {"aupro": "per_image"},
    "streaming": {"streaming": True},
    "at thresholds": {"thresholds": THRESHOLDS},
}
# Images of the first process; the second has the others.
SPLITS = {"even": range(0, 10, 2), "uneven": range(3), "all normal": range(4), "nothing": range(0)}


def score(metric, chosen, split):
    """The figures after all images, with a result asked for halfway: gathering must not end it."""
    half = len(chosen) // 2
    add(metric, chosen[:half])
    if split != "nothing":  # a process that got no image since would not gather again
        metric.compute()
    add(metric, chosen[half:])
    return metric.compute()


def add(metric, chosen):
    maps, masks = smooth_maps(10, (32, 48), seed=6, anomalous=0.6)
    maps, masks = torch.from_numpy(maps)[:, None], torch.from_numpy(masks)[:, None]
    for index in chosen:
        one = slice(index, index + 1)
        metric.update(
            scores=maps[one].amax((1, 2, 3)),
            labels=masks[one].flatten(1).any(dim=1).long(),
            maps=maps[one],
            masks=masks[one],
            defect_types=torch.tensor([index % 2]),
        )


def in_one_process(rank, folder):
    torch.set_num_threads(1)
    streaming.KEPT_PIXELS = 4000
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    found = {}
    for name, first in SPLITS.items():
        chosen = first if rank == 0 else [index for index in range(10) if index not in first]
        for kind, arguments in KINDS.items():
            metric = AnomalyMetrics(defect_types=["bent", "stain"], **arguments)
            found[f"{kind}, {name}"] = score(metric, chosen, name)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    start(in_one_process, args=(folder,), nprocs=2, start_method="forkserver")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_what_one_gives(by_rank, monkeypatch, kind, split):
    monkeypatch.setattr(streaming, "KEPT_PIXELS", 4000)
    metric = AnomalyMetrics(defect_types=["bent", "stain"], **KINDS[kind])
    alone = score(metric, range(10), split)
    # Streaming processes may give different pixels up; exact ones add in another order at most.
    tolerance = 1e-5 if kind == "streaming" else 1e-12
    for found in by_rank:
        assert found[f"{kind}, {split}"] == pytest.approx(alone, abs=tolerance)
    assert len(alone) == (22 if kind == "at thresholds" else 13)

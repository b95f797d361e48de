"""Features computed once are the features that each step would compute."""

import logging
from pathlib import Path

import pytest
import torch
from small_networks import SIZE, module, pixels, untrained

from rdad.model.torch_model import ReverseDistillationModel
from rdad.training import feature_cache
from rdad.training.feature_cache import Features, cache_features

CPU = torch.device("cpu")
IMAGES = pixels(5)
SHUFFLED = [torch.tensor([3, 0]), torch.tensor([4, 1]), torch.tensor([2])]
SIZE_OF_ALL = 5 * 4 * (64 * 16**2 + 128 * 8**2 + 256 * 4**2)  # bytes


def cached(
    model: ReverseDistillationModel, folder: Path | None = None, dtype: torch.dtype = torch.float32
) -> Features | None:
    batches = [(indices, IMAGES[indices]) for indices in SHUFFLED]
    return cache_features(model.encode, batches, count=5, device=CPU, folder=folder, dtype=dtype)


def leave_memory(monkeypatch: pytest.MonkeyPatch, memory: int, disk: int = 0) -> None:
    monkeypatch.setattr(feature_cache, "_free_memory", lambda _: memory)
    monkeypatch.setattr(feature_cache, "_free_disk", lambda _: disk)


def assert_features_are_the_encoders(
    cache: Features, model: ReverseDistillationModel, relative: float = 1e-5
) -> None:
    for indices in (torch.tensor([4, 0, 2]), torch.tensor([1]), torch.tensor([3, 3])):
        found, expected = cache(indices), model.encode(IMAGES[indices])
        assert [x.dtype for x in found] == [torch.float32] * 3
        for cached_layer, layer in zip(found, expected, strict=True):
            torch.testing.assert_close(cached_layer, layer, rtol=relative, atol=relative)


def test_cached_features_are_the_encoders_in_any_order():
    model = untrained()
    cache = cached(model)
    assert cache is not None
    assert_features_are_the_encoders(cache, model)


def test_cached_features_are_laid_out_as_the_network_reads_them():
    cache = cached(untrained())
    assert cache is not None
    for layer in cache(torch.tensor([0, 1])):
        assert layer.is_contiguous(memory_format=torch.channels_last)


def test_float16_halves_the_room_and_rounds_to_eleven_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leave_memory(monkeypatch, memory=SIZE_OF_ALL, disk=SIZE_OF_ALL + 1)
    model = untrained()
    assert cached(model, tmp_path) is None
    cache = cached(model, tmp_path, torch.float16)
    assert cache is not None
    assert_features_are_the_encoders(cache, model, relative=2**-11)


def test_training_from_the_cache_has_the_loss_of_training_from_images():
    network = module().train()
    batch = {"images": IMAGES[SHUFFLED[0]], "indices": SHUFFLED[0]}
    from_images = network.training_step(batch)
    network.features = cached(network.model)
    from_cache = network.training_step(batch)
    torch.testing.assert_close(from_cache, from_images, rtol=0, atol=1e-6)


def test_training_from_the_cache_does_not_look_at_the_images():
    network = module().train()
    network.features = cached(network.model)
    batch = {"images": IMAGES[SHUFFLED[0]], "indices": SHUFFLED[0]}
    blank = {**batch, "images": torch.zeros(2, 3, *SIZE, dtype=torch.uint8)}
    torch.testing.assert_close(network.training_step(blank), network.training_step(batch))


def test_features_that_fit_no_memory_are_kept_on_disk_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    leave_memory(monkeypatch, memory=2 * SIZE_OF_ALL, disk=2 * SIZE_OF_ALL + 1)
    model = untrained()
    with caplog.at_level(logging.INFO, logger="rdad"):
        cache = cached(model, tmp_path)
    assert cache is not None
    assert f"kept on disk in {tmp_path}" in caplog.text
    assert not list(tmp_path.iterdir())
    assert_features_are_the_encoders(cache, model)


@pytest.mark.parametrize("on_disk", [True, False], ids=["full disk", "no folder"])
def test_features_that_fit_nowhere_are_left_to_each_step(
    on_disk: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    leave_memory(monkeypatch, memory=2 * SIZE_OF_ALL, disk=2 * SIZE_OF_ALL)
    with caplog.at_level(logging.INFO, logger="rdad"):
        assert cached(untrained(), tmp_path if on_disk else None) is None
    assert "computed in each step" in caplog.text


def test_features_stay_in_memory_while_they_take_less_than_half_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    leave_memory(monkeypatch, memory=2 * SIZE_OF_ALL + 1)
    with caplog.at_level(logging.INFO, logger="rdad"):
        assert cached(untrained()) is not None
    assert "kept in cpu memory" in caplog.text


def test_free_memory_and_disk_of_this_machine_are_known(tmp_path: Path):
    assert feature_cache._free_memory(CPU) > 2**20
    assert feature_cache._free_disk(tmp_path / "new") > 0

"""Images at their own sizes and their tiles, from files to batches."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from rdad.data import AnomalyDataModule, DataError, decode, mvtec_ad
from rdad.data.layouts import read_mvtec_ad

Write = Callable[..., Path]
Make = Callable[..., AnomalyDataModule]


@pytest.fixture
def make(mvtec_root: Path, write_image: Write) -> Make:
    """5 training images of 12 x 10 and a sixth of 21 x 33; tiles of 12 x 12."""
    write_image("nut/train/good/large.png", size=(21, 33))
    defaults = {"image_size": (12, 12), "batch_size": 4, "tile": (12, 12), "tile_overlap": 0.0}

    def build(**changes: Any) -> AnomalyDataModule:
        settings = {**defaults, "cache_dir": mvtec_root / "cache", **changes}
        return mvtec_ad(mvtec_root, "nut", **settings)

    return build


def only_val_batch(datamodule: AnomalyDataModule) -> dict[str, torch.Tensor]:
    loader = datamodule.val_dataloader()
    assert isinstance(loader, DataLoader)
    (batch,) = loader
    return batch


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_whole_images_and_masks_are_those_of_the_files(mvtec_root: Path, tmp_path: Path) -> None:
    samples = read_mvtec_ad(mvtec_root, "nut").test
    for _ in range(2):  # made, and from the cache
        whole = decode(samples, None, tmp_path / "cache")
        assert whole.sizes == ((12, 10),) * len(samples)
        for row, sample in enumerate(samples):
            assert np.array_equal(whole.images[row], pixels(sample.image))
            marked = sample.mask and np.asarray(Image.open(sample.mask)) > 127
            assert np.array_equal(
                whole.masks[row], np.zeros((12, 10)) if marked is None else marked
            )


def test_whole_images_are_had_without_a_cache_that_can_be_written(
    mvtec_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = read_mvtec_ad(mvtec_root, "nut").test
    (tmp_path / "file").write_text("in the place of a folder")
    whole = decode(samples, None, tmp_path / "file")
    assert np.array_equal(whole.images[3], pixels(samples[3].image))
    assert "stay with this process" in caplog.text


def test_whole_images_with_problems_are_all_named(
    mvtec_root: Path, tmp_path: Path, write_image: Write
) -> None:
    for number in (1, 40):
        (mvtec_root / f"nut/train/good/{number:03}.png").write_text("no image")
    for number in range(5, 40):  # more than are decoded at a time
        write_image(f"nut/train/good/{number:03}.png")
    with pytest.raises(DataError) as caught:
        decode(read_mvtec_ad(mvtec_root, "nut").train, None, tmp_path / "cache")
    assert [problem.split(":")[0][-7:] for problem in caught.value.problems] == [
        "001.png",
        "040.png",
    ]


def test_training_batches_hold_every_tile_of_every_training_image_once(make: Make) -> None:
    datamodule = make()
    seen = list(datamodule.train_dataloader())
    assert datamodule.train_length == 5 + 2 * 3
    assert len(datamodule.train_samples) == 6
    indices = torch.cat([batch["indices"] for batch in seen])
    assert sorted(indices.tolist()) == list(range(11)) != indices.tolist()
    large = pixels(datamodule.train_samples[5].image)
    tiles = {
        int(index): image.permute(1, 2, 0).numpy()
        for batch in seen
        for index, image in zip(batch["indices"], batch["images"], strict=True)
    }
    assert np.array_equal(tiles[5], large[:12, :12])
    assert np.array_equal(tiles[6], large[:12, 10:22])
    assert np.array_equal(tiles[10], large[9:, 21:])
    assert np.array_equal(tiles[0][:, 1:11], pixels(datamodule.train_samples[0].image))


def test_features_are_computed_of_the_tiles_that_are_trained_on(make: Make) -> None:
    datamodule = make()
    in_training = {
        int(index): image
        for batch in datamodule.train_dataloader()
        for index, image in zip(batch["indices"], batch["images"], strict=True)
    }
    seen = []
    for indices, images in datamodule.training_images():
        seen += indices.tolist()
        for index, image in zip(indices.tolist(), images, strict=True):
            assert torch.equal(image, in_training[index])
    assert seen == list(range(datamodule.train_length))


def test_tiles_are_brought_to_the_size_of_the_network(make: Make) -> None:
    (batch,) = make(image_size=(6, 8), batch_size=99).train_dataloader()
    assert batch["images"].shape == (11, 3, 6, 8)
    assert batch["masks"].shape == (11, 1, 6, 8) and not batch["masks"].any()


def test_test_images_come_whole_one_a_batch_with_masks_of_their_own_size(make: Make) -> None:
    datamodule = make(calibration=0.5)
    batches = list(datamodule.test_dataloader())
    assert [batch["indices"].tolist() for batch in batches] == [[index] for index in range(7)]
    for batch, sample in zip(batches, datamodule.test_samples, strict=True):
        assert np.array_equal(batch["images"][0].permute(1, 2, 0), pixels(sample.image))
        assert batch["masks"].shape == (1, 1, 12, 10)
        assert batch["masks"].float().mean() == 0.25 * sample.label
    sizes = [tuple(batch["images"].shape[2:]) for batch in datamodule.calibration_dataloader()]
    assert tuple(sizes) == datamodule.calibration_sizes
    assert datamodule.calibration_pixels == tuple(height * width for height, width in sizes)


def test_validation_holds_whole_images_out_and_not_single_tiles(make: Make) -> None:
    datamodule = make(validation="split", validation_fraction=0.5, split_seed=2)
    batch = only_val_batch(
        make(validation="split", validation_fraction=0.5, split_seed=2, batch_size=99)
    )
    datamodule.prepare()
    assert len(datamodule.val_samples) == 3
    held_tiles = [6 if sample.name == "large" else 1 for sample in datamodule.val_samples]
    assert len(batch["images"]) == sum(held_tiles) == 11 - datamodule.train_length


def test_watched_test_images_are_validated_on_by_tiles_with_their_part_of_the_mask(
    make: Make,
) -> None:
    batch = only_val_batch(make(validation="test", tile=(8, 12), batch_size=99))
    assert batch["images"].shape == (14, 3, 12, 12)
    upper = batch["masks"][0::2].float().mean(dim=(1, 2, 3))
    assert (upper[batch["labels"][0::2] == 1] > 0.3).all()
    assert not batch["masks"][batch["labels"] == 0].any()
    assert batch["defect_types"].tolist() == [0] * 4 + [-1] * 4 + [1] * 6


def test_the_content_digest_tells_tilings_apart(make: Make) -> None:
    settings = ({"tile": None}, {}, {"tile": (8, 8)}, {"tile_overlap": 0.5})
    digests = []
    for one in settings:
        datamodule = make(**one)
        datamodule.prepare()
        digests.append(datamodule.content_digest)
    assert len(set(digests)) == 4


def test_the_number_of_tiles_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    make().prepare()
    assert "11 training tiles of 12 x 12 pixels" in caplog.text


def test_a_tile_that_cannot_be_is_refused_before_anything_is_read(make: Make) -> None:
    with pytest.raises(ValueError, match=r"tile_overlap is 1\.5; allowed: 0 to 0\.9"):
        make(tile_overlap=1.5)

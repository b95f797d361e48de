"""Batches, splits and orders, over small folders of images."""

import logging
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from rdad.data import AnomalyDataModule, DataError, folder, mvtec_ad, textures
from rdad.data.layouts import read_mvtec_ad
from rdad.data.samples import Samples
from rdad.data.splitting import split_rows

Write = Callable[..., Path]
Make = Callable[..., AnomalyDataModule]


@pytest.fixture
def make(mvtec_root: Path) -> Make:
    """The category nut: 5 training images, test images 2 bent, 2 good, 3 scratch."""
    defaults = {"image_size": (8, 6), "batch_size": 2, "cache_dir": mvtec_root / "cache"}

    def build(**changes: Any) -> AnomalyDataModule:
        return mvtec_ad(mvtec_root, "nut", **{**defaults, **changes})

    return build


def order_of(datamodule: AnomalyDataModule) -> Callable[[], list[int]]:
    loader = datamodule.train_dataloader()
    return lambda: [index for batch in loader for index in batch["indices"].tolist()]


def test_a_batch_holds_what_stands_in_its_description(make: Make) -> None:
    datamodule = make(batch_size=7)
    (batch,) = datamodule.test_dataloader()
    assert batch["images"].shape == (7, 3, 8, 6)
    assert batch["images"].dtype == torch.uint8
    assert batch["images"].is_contiguous()
    assert batch["masks"].shape == (7, 1, 8, 6)
    assert batch["masks"].dtype == torch.bool
    assert batch["labels"].tolist() == [1, 1, 0, 0, 1, 1, 1]
    assert batch["indices"].tolist() == list(range(7))
    assert datamodule.defect_types == ("bent", "scratch")
    assert batch["defect_types"].tolist() == [0, 0, -1, -1, 1, 1, 1]
    assert all(batch[name].dtype == torch.int64 for name in ("labels", "indices", "defect_types"))


def test_every_row_of_a_batch_is_the_image_that_its_index_names(make: Make) -> None:
    datamodule = make(validation="split", validation_fraction=0.4)
    datamodule.prepare()
    for loader, samples in (
        (datamodule.train_dataloader(), datamodule.train_samples),
        (datamodule.val_dataloader(), datamodule.val_samples),
        (datamodule.test_dataloader(), datamodule.test_samples),
    ):
        for batch in loader:
            for image, index in zip(batch["images"], batch["indices"].tolist(), strict=True):
                file = Image.open(samples[index].image).resize((6, 8), Image.Resampling.BILINEAR)
                assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(file))


def test_masks_mark_defects_and_nothing_else(make: Make) -> None:
    (batch,) = make(batch_size=7).test_dataloader()
    assert (batch["masks"].flatten(1).any(1).int() == batch["labels"]).all()
    assert batch["masks"][0, 0].float().mean() == 0.25


def test_batches_without_pixels_are_the_same_indices_alone(make: Make) -> None:
    with_pixels, without = make(), make()
    without.train_with_pixels(False)
    found, expected = list(without.train_dataloader()), list(with_pixels.train_dataloader())
    assert [batch.keys() for batch in found] == [{"indices"}] * len(expected)
    for batch, whole in zip(found, expected, strict=True):
        assert torch.equal(batch["indices"], whole["indices"])
    without.train_with_pixels(True)
    assert "images" in next(iter(without.train_dataloader()))


def test_the_last_partial_batch_is_kept(make: Make) -> None:
    assert [len(batch["labels"]) for batch in make().train_dataloader()] == [2, 2, 1]


def test_the_order_depends_on_seed_and_epoch_alone(make: Make) -> None:
    orders = [order_of(make(seed=3)), order_of(make(seed=3))]
    epochs = [[order() for _ in range(4)] for order in orders]
    assert epochs[0] == epochs[1]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs[0])
    assert len({tuple(epoch) for epoch in epochs[0]}) > 1
    assert epochs[0] != [order_of(make(seed=4))() for _ in range(4)]


def test_a_resumed_training_goes_on_with_the_order_of_its_epoch(make: Make) -> None:
    first = make().train_dataloader()
    epochs = [[batch["indices"].tolist() for batch in first] for _ in range(4)]
    resumed = make().train_dataloader()
    resumed.sampler.set_epoch(2)
    assert [[batch["indices"].tolist() for batch in resumed] for _ in range(2)] == epochs[2:]


class Recorder(lightning.LightningModule):
    """Trains nothing; keeps the indices of each epoch's images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.epochs: dict[int, list[int]] = {}

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        self.epochs.setdefault(self.current_epoch, []).extend(batch["indices"].tolist())
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_in_the_order_of_seed_and_epoch(make: Make, tmp_path: Path) -> None:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings = {"accelerator": "cpu", "default_root_dir": tmp_path, **quiet}
    whole, resumed = Recorder(), Recorder()
    trainer = lightning.Trainer(max_epochs=3, enable_checkpointing=False, **settings)
    trainer.fit(whole, datamodule=make(seed=3))
    order = order_of(make(seed=3))
    assert whole.epochs == {epoch: order() for epoch in range(3)}

    first = lightning.Trainer(max_epochs=1, enable_checkpointing=False, **settings)
    first.fit(resumed, datamodule=make(seed=3))
    first.save_checkpoint(tmp_path / "first.ckpt")
    rest = lightning.Trainer(max_epochs=3, enable_checkpointing=False, **settings)
    rest.fit(resumed, datamodule=make(seed=3), ckpt_path=tmp_path / "first.ckpt")
    assert resumed.epochs == whole.epochs


def test_without_validation_there_is_no_loader_for_it(make: Make) -> None:
    datamodule = make()
    assert datamodule.val_dataloader() == []
    assert datamodule.val_samples == ()


def test_a_validation_split_is_seeded_and_taken_from_training(make: Make) -> None:
    datamodule = make(validation="split", validation_fraction=0.4, split_seed=1)
    again = make(validation="split", validation_fraction=0.4, split_seed=1)
    for one in (datamodule, again):
        one.prepare()
    assert (len(datamodule.train_samples), len(datamodule.val_samples)) == (3, 2)
    assert not set(datamodule.train_samples) & set(datamodule.val_samples)
    assert datamodule.val_samples == again.val_samples
    assert all(batch["labels"].eq(0).all() for batch in datamodule.val_dataloader())


def test_calibration_images_are_seeded_and_neither_trained_nor_validated_on(make: Make) -> None:
    settings = {"validation": "split", "validation_fraction": 0.2, "calibration": 0.5}
    datamodule, again, other = make(**settings), make(**settings), make(**settings, split_seed=3)
    for one in (datamodule, again, other):
        one.prepare()
    parts = (datamodule.train_samples, datamodule.val_samples, datamodule.calibration_samples)
    assert [len(part) for part in parts] == [2, 1, 2]
    assert len({sample.image for part in parts for sample in part}) == 5
    assert datamodule.calibration_samples == again.calibration_samples
    assert datamodule.calibration_samples != other.calibration_samples
    assert all(list(part) == sorted(part, key=lambda sample: sample.name) for part in parts)


def test_calibration_batches_hold_the_calibration_images(make: Make) -> None:
    datamodule = make(calibration=0.6)
    batches = list(datamodule.calibration_dataloader())
    assert [len(batch["images"]) for batch in batches] == [2, 1]
    indices = torch.cat([batch["indices"] for batch in batches]).tolist()
    assert indices == [0, 1, 2]
    file = Image.open(datamodule.calibration_samples[2].image)
    pixels = np.asarray(file.resize((6, 8), Image.Resampling.BILINEAR))
    assert np.array_equal(batches[1]["images"][0].permute(1, 2, 0).numpy(), pixels)


def test_without_calibration_there_is_no_batch_of_it(make: Make) -> None:
    assert list(make().calibration_dataloader()) == []


def test_a_single_image_is_trained_on_and_not_held_back(caplog: pytest.LogCaptureFixture) -> None:
    assert split_rows(1, validation=0, calibration=0.1, seed=0) == ([0], [], [])
    assert "no image can be held back for calibration" in caplog.text


def test_the_validation_part_does_not_depend_on_calibration() -> None:
    parts = [split_rows(50, validation=0.2, calibration=one, seed=4) for one in (0, 0.5)]
    assert parts[0][1] == parts[1][1]
    assert len(parts[1][2]) == 20


def test_validation_on_test_images_leaves_training_as_it_is(make: Make) -> None:
    watched, plain = make(validation="test"), make()
    for one in (watched, plain):
        one.prepare()
    assert watched.val_samples == watched.test_samples
    assert watched.train_samples == plain.train_samples
    assert watched.content_digest == plain.content_digest
    assert len(watched.val_dataloader()) == len(watched.test_dataloader())


def test_what_is_known_after_prepare(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    datamodule = make()
    datamodule.prepare()
    assert (datamodule.name, datamodule.category) == ("mvtec_ad", "nut")
    assert datamodule.has_masks
    assert datamodule.test_sizes == ((12, 10),) * 7
    expected = (
        "mvtec_ad nut: 5 training, 0 validation, 0 calibration, 7 test images (5 of them with"
    )
    assert expected in caplog.text


def test_prepare_reads_only_once(mvtec_root: Path) -> None:
    calls = []

    def read() -> Samples:
        calls.append(1)
        return read_mvtec_ad(mvtec_root, "nut")

    datamodule = AnomalyDataModule(
        read, name="x", category="y", image_size=(8, 6), cache_dir=mvtec_root / "cache"
    )
    datamodule.prepare()
    datamodule.setup("fit")
    datamodule.test_dataloader()
    assert len(calls) == 1


def test_the_content_digest_changes_with_one_pixel_and_with_the_split(make: Make) -> None:
    plain, split = make(), make(validation="split")
    for one in (plain, split):
        one.prepare()
    path = plain.train_samples[0].image
    pixels = np.array(Image.open(path))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    changed = make()
    changed.prepare()
    digests = {one.content_digest for one in (plain, split, changed)}
    assert len(digests) == 3


def test_the_content_digest_does_not_depend_on_test_images(make: Make, mvtec_root: Path) -> None:
    before, after = make(), make()
    before.prepare()
    Image.new("RGB", (10, 12)).save(mvtec_root / "nut/test/good/000.png")
    after.prepare()
    assert before.content_digest == after.content_digest


def test_problems_of_training_and_test_images_are_listed_together(
    make: Make, mvtec_root: Path
) -> None:
    for name in ("train/good/000.png", "test/bent/001.png", "ground_truth/scratch/000_mask.png"):
        (mvtec_root / "nut" / name).write_text("broken")
    with pytest.raises(DataError) as caught:
        make().prepare()
    assert len(caught.value.problems) == 3


def own(root: Path, **settings: Any) -> AnomalyDataModule:
    """The folders n and bad, at their own size."""
    loading = {"image_size": (12, 10), "cache_dir": root / "cache", "batch_size": 9}
    return folder(root, "n", defects="bad", **{**loading, **settings})


def grey_of(datamodule: AnomalyDataModule, sample: Any) -> np.ndarray:
    """What a test batch holds of a sample: (H, W)."""
    (batch,) = datamodule.test_dataloader()
    return batch["images"][datamodule.test_samples.index(sample), 0].numpy()


@pytest.mark.parametrize("highest", [1023, 4080, 16000])
@pytest.mark.parametrize("tile", [None, (8, 8)])
def test_16_bit_images_that_all_use_fewer_bits_keep_their_grey_levels(
    write_deep: Write,
    write_image: Write,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    highest: int,
    tile: tuple[int, int] | None,
) -> None:
    for index in range(4):
        write_deep(f"n/{index}.png", highest - index)
    write_image("n/eight.png", mode="L")
    path = write_deep("bad/0.tif", highest)
    bits = {1023: 10, 4080: 12, 16000: 14}[highest]
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        caplog.set_level(logging.INFO)
        datamodule = own(tmp_path, tile=tile, batch_size=1 if tile else 9)
        datamodule.prepare()
        assert datamodule.bits == bits
        said = f"all 5 images of 16 bits stay at or below {highest}, so they are read as of {bits}"
        assert caplog.text.count(said) == 1
    (bad,) = (one for one in datamodule.test_samples if one.label)
    assert bad.bits == bits
    images = [batch["images"] for batch in datamodule.test_dataloader()]
    row = datamodule.test_samples.index(bad)
    found = images[row][0] if tile else images[0][row]
    expected = np.asarray(Image.open(path)) >> (bits - 8)
    assert (found[0].numpy() == expected).all()
    assert len(np.unique(expected)) > 60


def test_16_bit_images_of_which_one_uses_all_keep_their_high_byte(
    write_deep: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        write_deep(f"n/{index}.png", 4095)
    path = write_deep("bad/0.png", 65535)
    datamodule = own(tmp_path)
    datamodule.prepare()
    assert datamodule.bits == 16
    bad = next(one for one in datamodule.test_samples if one.label)
    assert (grey_of(datamodule, bad) == np.asarray(Image.open(path)) >> 8).all()
    assert caplog.text.count("3 images of 16 bits keep 16 grey levels at most, the first is") == 1


def test_bits_that_are_said_are_those_that_are_read(write_deep: Write, tmp_path: Path) -> None:
    for index in range(3):
        write_deep(f"n/{index}.png", 900)
    write_deep("bad/0.png", 4000)
    modules = [own(tmp_path, bits=bits) for bits in (16, 12, "auto")]
    for one in modules:
        one.prepare()
    assert [one.bits for one in modules] == [16, 12, 12]
    full, said, found = (one.content_digest for one in modules)
    assert full != said == found
    with pytest.raises(
        DataError, match=r"bad/0.png: .*to 4000, more than 10 bits, as dataset.bits"
    ):
        own(tmp_path, bits=10).prepare()


def test_an_image_in_training_and_test_is_refused_in_folders_of_ones_own_unless_it_is_allowed(
    write_image: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [write_image(f"n/{index}.png") for index in range(4)]
    for name, path in (("t/a.png", paths[1]), ("t/b.png", paths[3]), ("bad/c.png", paths[1])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(path.read_bytes())
    write_image("t/other.png")
    said = (
        f"3 of 4 test images are training images as well, byte for byte, the first is "
        f"{tmp_path}/t/a.png, as {paths[1]}"
    )
    with pytest.raises(ValueError, match=f"{said}: take them .* dataset.allow_duplicates=true"):
        own(tmp_path, normal_test="t", calibration=0.5).prepare()
    own(tmp_path, normal_test="t", allow_duplicates=True).prepare()
    assert caplog.text.count(said) == 1


def test_an_image_in_training_and_test_of_a_public_layout_is_a_warning(
    make: Make, mvtec_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = (mvtec_root / "nut/train/good/001.png").read_bytes()
    make().prepare()
    assert "training images as well" not in caplog.text
    (mvtec_root / "nut/test/good/001.png").write_bytes(content)
    make().prepare()
    assert caplog.text.count("1 of 7 test images are training images as well") == 1


@pytest.mark.parametrize("highest", [4095, 65535])
def test_colours_of_16_bits_that_are_nearly_black_are_said(
    write_deep: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture, highest: int
) -> None:
    grey = [np.asarray(Image.open(write_deep(f"{index}.png", highest))) for index in range(4)]
    for index, name in enumerate(("n/0.tif", "n/1.tif", "n/2.tif", "bad/3.tif")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, np.dstack([grey[index]] * 3), photometric="rgb")
    own(tmp_path).prepare()
    said = "4 colour images of 16 bits keep 16 levels of each colour at most, the first is"
    assert caplog.text.count(said) == (highest == 4095)


def test_a_black_image_of_16_bit_grey_is_no_colour_image(
    write_deep: Write, write_image: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        write_deep(f"n/{index}.png", 65535)
    Image.fromarray(np.zeros((12, 10), np.uint16)).save(tmp_path / "n" / "black.png")
    write_image("bad/0.png")
    own(tmp_path).prepare()
    assert "colour images of 16 bits" not in caplog.text


def test_files_that_are_turned_or_have_pages_are_said_once_with_the_first(
    make: Make, mvtec_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of images and masks, training and test together; also from the cache."""
    pages = [Image.new("RGB", (10, 12), (level, 0, 0)) for level in (10, 200)]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    nut = mvtec_root / "nut"
    for place in ("train/good/b.tif", "train/good/c.gif", "test/good/d.webp"):
        pages[0].save(nut / place, save_all=True, append_images=pages[1:])
    for place in ("train/good/e.jpg", "test/bent/001.png", "ground_truth/bent/001_mask.png"):
        picture = Image.open(nut / place) if place.startswith("ground") else pages[0]
        picture.save(nut / place, exif=exif)
    for _ in range(2):
        caplog.clear()
        make().prepare()
        turned = "3 files are turned or mirrored as their EXIF orientation says, the first is"
        paged = "of 3 files with several pages or frames the first one alone is read, as of"
        for said in (f"{turned} {nut}/train/good/e.jpg", f"{paged} {nut}/train/good/b.tif"):
            assert caplog.text.count(said) == 1
        assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"bits": 7}, "bits must be auto, or a number from 8 to 16; found 7"),
        ({"bits": "12"}, "bits must be auto, or a number from 8 to 16; found '12'"),
        ({"bits": 12.0}, "bits must be auto, or a number from 8 to 16; found 12.0"),
        ({"batch_size": 0}, r"batch_size must be in \[1, 1000000\]; found 0"),
        ({"image_size": (256,)}, r"image_size must be \[height, width\], both 1 or more; found"),
        ({"image_size": (256, 0)}, r"image_size must be \[height, width\], both 1 or more"),
        ({"validation": "some"}, "validation must be one of none, split, test; found 'some'"),
        (
            {"validation_fraction": 0.0},
            "validation_fraction must be above 0 and below 1; found 0.0",
        ),
        (
            {"validation_fraction": 1.0},
            "validation_fraction must be above 0 and below 1; found 1.0",
        ),
        ({"calibration": -0.1}, r"calibration must be in \[0, 1\); found -0.1"),
        ({"calibration": 1.0}, r"calibration must be in \[0, 1\); found 1.0"),
    ],
)
def test_settings_out_of_range_say_what_is_allowed(make: Make, setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**setting)


@pytest.mark.parametrize("category", ["../../x", "/tmp", "a/b", ".."])
def test_a_category_names_a_folder_and_no_way_out_of_it(mvtec_root: Path, category: str) -> None:
    with pytest.raises(ValueError, match="category must be a folder's name, without /; found"):
        mvtec_ad(mvtec_root, category)


def test_a_held_out_part_out_of_range_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holdout must be in \[0, 1\); found 1\.0"):
        folder(tmp_path, "n", holdout=1.0)


def test_a_folder_without_test_images_says_what_to_do(write_image: Write, tmp_path: Path) -> None:
    write_image("n/a.png")
    with pytest.raises(ValueError, match=r"no test images.*holdout"):
        folder(tmp_path, "n", holdout=0, cache_dir=tmp_path / "cache").prepare()


def test_a_split_of_a_single_training_image_is_refused(write_image: Write, tmp_path: Path) -> None:
    write_image("n/a.png")
    write_image("t/a.png")
    loading = {"validation": "split", "cache_dir": tmp_path / "cache"}
    with pytest.raises(ValueError, match="needs 2 training images or more; found 1"):
        folder(tmp_path, "n", "t", **loading).prepare()


def test_own_folders_take_the_name_of_their_root(write_image: Write, tmp_path: Path) -> None:
    for index in range(4):
        write_image(f"my parts/normal/{index}.jpg")
    datamodule = folder(
        tmp_path / "my parts", "normal", image_size=[8, 6], cache_dir=tmp_path / "cache"
    )
    datamodule.prepare()
    assert (datamodule.name, datamodule.category) == ("folder", "my parts")
    assert not datamodule.has_masks
    assert datamodule.defect_types == ()
    assert (len(datamodule.train_samples), len(datamodule.test_samples)) == (3, 1)


def test_a_datamodule_can_be_sent_to_another_process(make: Make) -> None:
    datamodule = make()
    datamodule.prepare()
    copy = pickle.loads(pickle.dumps(datamodule))
    (ours, theirs) = (next(iter(one.test_dataloader())) for one in (datamodule, copy))
    assert torch.equal(ours["images"], theirs["images"])


def test_textures_refuse_an_unknown_category_before_reading_anything() -> None:
    with pytest.raises(
        ValueError, match="category must be one of brick, grass, gravel; found 'wood'"
    ):
        textures("wood")


def test_real_folders_of_any_size_are_read(assets: Path, tmp_path: Path) -> None:
    root = assets / "data" / "magnetic_tile" / "tile"
    datamodule = folder(
        root,
        normal="test/good",
        defects="test",
        masks="ground_truth",
        holdout=0.1,
        image_size=(32, 32),
        cache_dir=tmp_path,
    )
    datamodule.prepare()
    assert datamodule.defect_types == ("blowhole", "break", "crack", "fray", "uneven")
    assert len(datamodule.train_samples) == 144
    assert len(datamodule.test_samples) == 16 + 388
    assert len(set(datamodule.test_sizes)) > 100
    assert datamodule.has_masks


def test_the_plain_reader_of_a_category_can_be_used_alone(mvtec_root: Path) -> None:
    read = partial(read_mvtec_ad, mvtec_root, "nut")
    settings = {"image_size": (8, 6), "cache_dir": mvtec_root / "cache"}
    datamodule = AnomalyDataModule(read, name="own", category="nut", **settings)
    assert len(datamodule.test_dataloader().dataset) == 7

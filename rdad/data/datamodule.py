"""One category of images, or several as one, as Lightning wants it: splits, and their batches."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from rdad.data.batches import Batch, EpochShuffle, ImageSet, loader
from rdad.data.decoded import Decoded, decode_splits
from rdad.data.depth import FULL, Bits
from rdad.data.duplicates import check_duplicates
from rdad.data.framing import WHOLE
from rdad.data.ignoring import framing_of, looked_at
from rdad.data.ranges import Ignore, Resize, Validation, check_ranges, check_tiles
from rdad.data.samples import Sample, Samples, defect_types_of
from rdad.data.splitting import item_numbers, split
from rdad.data.store import default_cache_dir
from rdad.data.tiles import Tiles
from rdad.data.tiling import DEFAULT_OVERLAP, Tiling
from rdad.runs.names import expanded

log = logging.getLogger(__name__)


class AnomalyDataModule(lightning.LightningDataModule):
    """Training, validation and test batches of one category, or of several as one.

    A batch is a dictionary: `images` uint8 (B, 3, H, W), RGB, not normalised; `labels` int64
    (B,), 0 normal and 1 anomalous; `masks` bool (B, 1, H, W); `indices` int64 (B,), into the
    split's samples; `defect_types` int64 (B,), the place in `defect_types`, -1 for good.

    Known after `prepare()`: `train_samples`, `val_samples`, `calibration_samples`, `test_samples`;
    `calibration_sizes` and `test_sizes`, the (height, width) of each such image's file;
    `defect_types`, the sorted anomalous types of the test images; `has_masks`, whether test images
    have masks; `test_parts`, int64, one number for all views of an item, None where no item is seen
    in several images; `categories` in their order, empty where there is only one;
    `test_categories`, int64, the place there of each test image's, None with only one;
    `content_digest`, of the content and order of the images that are trained on, and of how they
    are read and cut; `train_length`, what an epoch trains on: so many images or tiles; `bits`, how
    many of its bits a 16-bit grey file uses; `framing`, how images come to their size: a trained
    network's, set before, takes the place of what `resize` and `ignore` say.

    Where that leaves pixels out, batches have `valid` bool (B, 1, H, W), False at what is ignored.

    With a tile, training and validation batches hold tiles, and `indices` count them; they carry
    their part of the mask, and label and type of their image. Calibration and test batches hold
    one image each, at its own size, for `rdad.detector.scoring.score` to cut as `tiling` says.
    """

    def __init__(
        self,
        read: Callable[[], Samples],
        *,
        name: str,
        category: str,
        image_size: Sequence[int] = (256, 256),
        batch_size: int = 16,
        validation: Validation = "none",
        validation_fraction: float = 0.1,
        calibration: float = 0.0,
        split_seed: int = 0,
        seed: int = 0,
        tile: Sequence[int] | None = None,
        tile_overlap: float = DEFAULT_OVERLAP,
        bits: Bits = "auto",
        resize: Resize = "stretch",
        ignore: Ignore = None,
        refuse_duplicates: bool = False,
        cache_dir: str | Path | None = None,
    ) -> None:
        """Keep the settings; nothing is read before `prepare()`.

        Args:
            read: Finds the images; called once.
            image_size: (height, width) of the batches, and of what the network sees of a tile.
            validation: none; `split`: a seeded part of the training images, which are then not
                trained on; `test`: the test images, to watch and never to choose by.
            validation_fraction: That part, between 0 and 1.
            calibration: The part of the other training images that is held back to find thresholds
                on, and not trained on either; 0 for none. Where the data set has images of its own
                for that, they are taken and none is held back.
            split_seed: Chooses these parts.
            seed: Orders the training images, anew in each epoch.
            tile: (height, width) in pixels of the images, which are then not resized but cut into
                overlapping tiles, see `rdad.data.tiling.Tiling`; None takes each image whole.
            tile_overlap: The least share of a tile's sides that neighbours have in common.
            bits: How many of its bits a 16-bit grey file uses, 8 to 16; `auto`: as many as the
                brightest of all these images needs.
            resize: How images come to `image_size`: `stretch`; or `letterbox`, which keeps their
                aspect ratio, and what is padded is ignored.
            ignore: What is not looked at, in training, scores, thresholds and metrics: what is
                black in a mask, the file of one for all images or a folder with one for each (see
                `rdad.data.ignoring.find_masks`); or what is outside of a rectangle (top, left,
                bottom, right), in pixels or, none above 1, in shares of the sides.
            refuse_duplicates: Whether test images that are training images too are an error; by
                default they are a warning.
            cache_dir: Place of decoded images; by default as `default_cache_dir()` says.

        Raises:
            ValueError: a setting is out of range.
        """
        super().__init__()
        check_ranges(
            category=category,
            image_size=image_size,
            batch_size=batch_size,
            validation=validation,
            validation_fraction=validation_fraction,
            calibration=calibration,
            bits=bits,
            resize=resize,
            ignore=ignore,
            seed=seed,
        )
        check_tiles(tile, resize, ignore)
        self.name = name
        self.category = category
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.batch_size = batch_size
        self.validation: Validation = validation
        self.validation_fraction = validation_fraction
        self.calibration = calibration
        self.split_seed = split_seed
        self.seed = seed
        self.tiling = Tiling.of(tile, tile_overlap)
        self.cache_dir = expanded(cache_dir or default_cache_dir())
        self._bits: Bits = bits
        self._resize: Resize = resize
        self._ignore: Ignore = ignore
        self.framing = WHOLE
        self._refuse_duplicates = refuse_duplicates
        self._read = read
        self._splits: dict[str, ImageSet] = {}

    def setup(self, stage: str | None = None) -> None:
        """Lightning's name for `prepare()`; every stage needs the same."""
        self.prepare()

    def prepare(self) -> None:
        """Find, check and decode all images; only the first call does anything.

        Raises:
            FileNotFoundError: folders or images are missing.
            DataError: lists the files that cannot be used.
            ValueError: a split would be left without images, or duplicates are refused.
        """
        if self._splits:
            return
        samples = self._read()
        if not samples.train:
            raise ValueError(f"no training images for {self.name} {self.category}")
        if not samples.test:
            raise ValueError(
                f"no test images for {self.name} {self.category}: "
                "name some, or hold out a part of the normal ones (holdout > 0)"
            )
        size = None if self.tiling else self.image_size
        if self.framing == WHOLE:
            self.framing = framing_of(self._resize, self._ignore, self.image_size)
        samples, decoded = decode_splits(samples, size, self.cache_dir, self._bits, self.framing)
        decoded = looked_at(decoded, samples.splits, self.image_size, self.framing, self._ignore)
        self.bits = samples.train[0].bits
        train, test, *calibration = decoded
        digests = [one.digests for one in decoded]
        check_duplicates(samples, digests, refuse=self._refuse_duplicates)
        self._split(samples, train, test, next(iter(calibration), None))
        self._log_counts()

    def train_dataloader(self) -> DataLoader[Batch]:
        images = self._prepared("train")
        order = EpochShuffle(len(images), seed=self.seed)
        return loader(images, batch_size=self.batch_size, sampler=order)

    def train_with_pixels(self, wanted: bool) -> None:
        """Whether training batches carry images; without, they are `indices` alone."""
        self._prepared("train").with_pixels = wanted

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """An empty list where there is no validation."""
        images = self._prepared("val")
        return loader(images, batch_size=self.batch_size) if len(images) else []

    def calibration_dataloader(self) -> DataLoader[Batch]:
        """Without batches where no images were held back."""
        return self._scored_loader("calibration")

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._scored_loader("test")

    def training_images(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(indices, images) of all that is trained on once, in order, for work before that."""
        for batch in loader(self._prepared("train"), batch_size=self.batch_size):
            yield batch["indices"], batch["images"]

    @property
    def calibration_pixels(self) -> tuple[int, ...]:
        """How many pixels count of each calibration image's map."""
        images = self._prepared("calibration")
        if images.valid is not None:
            return tuple(int(np.count_nonzero(images.valid[row])) for row in images.rows)
        if self.tiling is None:
            return (math.prod(self.image_size),) * len(self.calibration_samples)
        return tuple(map(math.prod, self.calibration_sizes))

    @property
    def train_length(self) -> int:
        return len(self._prepared("train"))

    def beside_test(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        """What metrics take of these test images beside what is in their batch."""
        known = {"parts": self.test_parts, "categories": self.test_categories}
        return {name: of[indices.cpu()] for name, of in known.items() if of is not None}

    def _scored_loader(self, split: str) -> DataLoader[Batch]:
        """Whole images have sizes of their own, so each is a batch."""
        batch_size = self.batch_size if self.tiling is None else 1
        return loader(self._prepared(split), batch_size=batch_size)

    def _prepared(self, split: str) -> ImageSet:
        self.prepare()
        return self._splits[split]

    def _split(
        self, samples: Samples, train: Decoded, test: Decoded, calibration: Decoded | None
    ) -> None:
        trained, held, drawn = split(
            samples.train,
            validation=self.validation_fraction if self.validation == "split" else 0,
            calibration=self.calibration if calibration is None else 0,
            seed=self.split_seed,
        )
        every = range(len(samples.test))
        source, kept, rows = samples.train, train, drawn
        if calibration is not None:
            log.info("thresholds: on the data set's own validation images, so none are drawn")
            source, kept = samples.calibration, calibration
            rows = list(range(len(source)))
        self.train_samples, self.val_samples = (
            tuple(samples.train[row] for row in part) for part in (trained, held)
        )
        self.calibration_samples = tuple(source[row] for row in rows)
        self.test_samples = samples.test
        self.calibration_sizes = tuple(kept.sizes[row] for row in rows)
        self.test_sizes = test.sizes
        viewed = any(sample.part for sample in samples.test)
        self.test_parts = torch.tensor(item_numbers(samples.test)) if viewed else None
        self.categories = tuple(filter(None, dict.fromkeys(one.category for one in samples.test)))
        places = [self.categories.index(one.category) for one in samples.test if one.category]
        self.test_categories = torch.tensor(places) if places else None
        self.defect_types = types = defect_types_of(samples.test)
        self.has_masks = any(sample.mask for sample in samples.test)
        how = repr(self.tiling) if self.tiling else ""
        how += f" {self.bits} bits" if self.bits != FULL else ""
        self.content_digest = train.digest_of(trained, how)
        self._splits = {
            "train": self._training_set(samples.train, train, trained),
            "val": self._training_set(samples.train, train, held),
            "calibration": ImageSet(source, kept, rows, types),
            "test": ImageSet(samples.test, test, every, types),
        }
        if self.validation == "test":
            self.val_samples = samples.test
            self._splits["val"] = self._training_set(samples.test, test, every)

    def _training_set(
        self, samples: Sequence[Sample], images: Decoded, rows: Sequence[int]
    ) -> ImageSet:
        """What the loss is computed of: the images of these rows, or their tiles."""
        if self.tiling is None:
            return ImageSet(samples, images, rows, self.defect_types)
        tiles = Tiles(images, self.tiling, self.image_size)
        owners = [samples[row] for row in tiles.images]
        chosen = np.flatnonzero(np.isin(tiles.images, rows))
        return ImageSet(owners, tiles, chosen, self.defect_types)

    def _log_counts(self) -> None:
        parts = (self.train_samples, self.val_samples, self.calibration_samples, self.test_samples)
        log.info(
            "%s %s: %d training, %d validation, %d calibration, %d test images "
            "(%d of them with defects)",
            *(self.name, self.category, *map(len, parts)),
            sum(sample.label for sample in self.test_samples),
        )
        if self.tiling is not None:
            log.info("%d training tiles of %d x %d pixels", self.train_length, *self.tiling.size)

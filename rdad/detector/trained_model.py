"""A trained network with its thresholds: images of any size in, scores and maps out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rdad.data.depth import FULL
from rdad.data.framing import WHOLE, Framing
from rdad.data.ignoring import as_mask
from rdad.data.images import DataError, as_rgb
from rdad.detector.calibration import chosen_thresholds
from rdad.detector.device import computing_in, has_bf16
from rdad.detector.regions import Region, find_regions
from rdad.detector.scoring import score, stretched_map
from rdad.model.precision import FLOAT32, Precision

if TYPE_CHECKING:
    from rdad.data.tiling import Tiling
    from rdad.metrics.thresholds import Thresholds
    from rdad.model.torch_model import ReverseDistillationModel

log = logging.getLogger(__name__)

ImageSource: TypeAlias = str | Path | Image.Image | NDArray[np.uint8]

GOOD, DEFECTIVE = "good", "defective"


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """`pixels` uint8 (3, H, W), of the size the network takes or, for tiles, of the image's own
    `size`, which is (height, width). Of them only the `valid`, bool (H, W), are looked at; None is
    all. On `place`, rows and columns, the image itself lies."""

    pixels: torch.Tensor
    size: tuple[int, int]
    place: tuple[slice, slice]
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one image.

    Attributes:
        score: The raw image score: of `network_map` the maximum, or the mean of its highest pixels.
        normalised_score: In [0, 1], 0.5 at the threshold. None without thresholds.
        is_defective: Whether `score` is above the image threshold. None without thresholds.
        network_map: (h, w), float32, raw, at the size the network works at, without what is
            padded there; with tiles, the image's own. What is ignored is 0.
        size: (height, width) of the image.
        valid: Of `network_map`, bool: False at what is ignored; None where nothing is.
        thresholds: What it was judged by, if by any.
    """

    score: float
    normalised_score: float | None
    is_defective: bool | None
    network_map: NDArray[np.float32]
    size: tuple[int, int]
    valid: NDArray[np.bool_] | None = None
    thresholds: "Thresholds | None" = None

    @cached_property
    def regions(self) -> list[Region] | None:
        """Where the map is above the pixel threshold, at the image's own size, the largest first,
        whatever the image's label. None without thresholds."""
        if self.thresholds is None:
            return None
        whole = stretched_map(self.network_map, self.size)
        return find_regions(whole, self.thresholds.pixel.exceeded(whole))

    @cached_property
    def anomaly_map(self) -> NDArray[np.float32]:
        """(H, W), float32, raw, at the image's own size; stretched when it is first asked for."""
        return stretched_map(self.network_map, self.size)

    def judged(self, thresholds: "Thresholds | None") -> Self:
        """The same by other thresholds."""
        if thresholds is None:
            return replace(self, normalised_score=None, is_defective=None, thresholds=None)
        return replace(
            self,
            normalised_score=float(thresholds.image.normalise(self.score)),
            is_defective=bool(thresholds.image.exceeded(self.score)),
            thresholds=thresholds,
        )

    @property
    def label(self) -> str | None:
        """`good` or `defective`. None without thresholds."""
        return None if self.is_defective is None else (GOOD, DEFECTIVE)[self.is_defective]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network in evaluation mode, ready for images.

    Images are files, what Pillow has opened, or uint8 arrays (H, W), (H, W, 3) in RGB order or
    (H, W, 4), of any size; they become pixels as in training.

    Attributes:
        thresholds: None where the network was not calibrated; then there are no verdicts.
        name: For titles and messages.
        tiling: How images are cut into tiles, if they are.
        precision: In which it was tested and its thresholds were found, and in which it predicts
            where the device has instructions for that.
        bits: How many of its bits a 16-bit grey file uses, as in training.
        framing: How images come to the network's size, and what of them is looked at.
    """

    model: "ReverseDistillationModel"
    thresholds: "Thresholds | None"
    name: str
    tiling: "Tiling | None" = None
    precision: str = FLOAT32
    bits: int = FULL
    framing: Framing = WHOLE

    def judging(
        self,
        *,
        value: float | None = None,
        image_rate: float | None = None,
        category: str | None = None,
    ) -> Self:
        """The same network with the thresholds that are asked for: arguments and errors as of
        `rdad.detector.calibration.chosen_thresholds`."""
        asked = {"value": value, "image_rate": image_rate}
        return replace(
            self, thresholds=chosen_thresholds(self.thresholds, **asked, category=category)
        )

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device."""
        self.__dict__.pop("_folded", None)  # it shares with the network what moves
        self.__dict__.pop("_computing", None)
        return replace(self, model=self.model.to(device))

    @cached_property
    def _folded(self) -> "ReverseDistillationModel":
        """What computes the predictions; `model` stays as it was trained."""
        return self.model.folded()

    @cached_property
    def _computing(self) -> Precision:
        device = self.model.encoder.pixel_mean.device
        if self.precision == FLOAT32 or has_bf16(device):
            return computing_in(self.precision, device)
        log.warning(
            "%s was tested in %s, for which this %s has no instructions: it predicts in float32, "
            "and its scores differ a little",
            self.name,
            self.precision,
            device.type.upper(),
        )
        return computing_in(FLOAT32, device)

    def predict(self, image: ImageSource, ignore: ImageSource | None = None) -> Prediction:
        """The prediction for one image.

        Args:
            ignore: The mask of this image, black where it is not looked at: for a network that was
                trained with a mask for each image, and no other.

        Raises:
            DataError: the image cannot be used; the message says why.
            TypeError: it is no image and names none.
        """
        return self.predict_prepared([self.prepare(image, ignore)])[0]

    def predict_batch(self, images: Sequence[ImageSource]) -> list[Prediction]:
        """The predictions for several images, which the network sees at once.

        Raises:
            DataError: an image cannot be used; the message says which and why.
            TypeError: one image alone, which `predict` takes; or something else.
        """
        if isinstance(images, str | bytes | Path | Image.Image):
            raise TypeError(f"several images, as in a list; found {type(images).__name__}")
        return self.predict_prepared([self.prepare(image) for image in images])

    def prepare(self, image: ImageSource, ignore: ImageSource | None = None) -> PreparedImage:
        """What `predict_prepared` takes; may be called in threads.

        Args:
            ignore: As of `predict`.

        Raises:
            DataError: the image cannot be used.
        """
        opened = as_rgb(image, bits=self.bits)
        size = (opened.height, opened.width)
        taken = self.model.input_size if self.tiling is None else size
        pixels = torch.tensor(self.framing.fit_image(opened, taken))
        mask = None if ignore is None else as_mask(ignore)
        try:
            valid = self.framing.valid(size, taken, mask)
        except ValueError as error:
            named = f"{image}: " if isinstance(image, str | Path) else ""
            raise DataError([f"{named}{error}"]) from error
        place = self.framing.content(size, taken)
        return PreparedImage(pixels.permute(2, 0, 1), size, place, valid)

    def predict_prepared(self, images: Sequence[PreparedImage]) -> list[Prediction]:
        """As `predict_batch`, of images that `prepare` gave."""
        if not images:
            return []
        together = [images] if self.tiling is None else [[image] for image in images]
        batches = map(_batch, together)
        scored = list(score(self._folded, batches, tiling=self.tiling, precision=self._computing))
        maps = [one for batch in scored for one in batch.maps.squeeze(1).float().cpu().numpy()]
        scores = [one for batch in scored for one in batch.scores.float().cpu().numpy()]
        return [
            _raw_prediction(value, network_map, image).judged(self.thresholds)
            for value, network_map, image in zip(scores, maps, images, strict=True)
        ]


def _raw_prediction(
    value: np.float32, network_map: NDArray[np.float32], image: PreparedImage
) -> Prediction:
    valid = None if image.valid is None else image.valid[image.place]
    return Prediction(float(value), None, None, network_map[image.place], image.size, valid)


def _batch(images: Sequence[PreparedImage]) -> dict[str, torch.Tensor]:
    batch = {"images": torch.stack([one.pixels for one in images])}
    valid = [one.valid for one in images if one.valid is not None]
    if valid:
        batch["valid"] = torch.from_numpy(np.stack(valid))[:, None]
    return batch

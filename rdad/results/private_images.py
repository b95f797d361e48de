"""The private images of MVTec AD 2, scored and written as `rdad.results.submission` says."""

import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
from PIL import Image
from tqdm import tqdm

from rdad.config.mistakes import ConfigError
from rdad.data.in_order import THREADS, in_order
from rdad.data.limit import pixels_said
from rdad.results.overlays import PNG_LEVEL
from rdad.results.submission import CALLED, MAPS, file_of, private_images
from rdad.runs.files import write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rdad.detector.trained_model import Prediction, TrainedModel
    from rdad.metrics.thresholds import Threshold

log = logging.getLogger(__name__)


def write_category(
    folder: Path, root: Path, category: str, trained: "TrainedModel", *, batch_size: int
) -> None:
    """Map and mask of every private image of a category below the data set's `root`.

    Args:
        folder: Of the submission.
        trained: With thresholds.
        batch_size: How many images the network sees at once; tiled ones come one at a time.

    Raises:
        rdad.data.DataError: an image cannot be used.
        ValueError, OSError: as `write_image`.
    """
    assert trained.thresholds is not None
    threshold = trained.thresholds.of(category).pixel
    log.info("%s: %s, pixels above %.4g are called", category, trained.name, threshold.value)
    images = [image for split in private_images(root, category).values() for image in split]

    def write(scored: "tuple[Path, Prediction]") -> None:
        image, prediction = scored
        write_image(folder, category, image, prediction.anomaly_map, threshold)

    written = in_order(
        write,
        _predictions(trained, images, batch_size),
        pixels=lambda scored: math.prod(scored[1].size),
    )
    bar = tqdm(written, category, len(images), unit="image", disable=None, dynamic_ncols=True)
    for _ in bar:
        pass


def write_image(
    folder: Path,
    category: str,
    image: Path,
    anomaly_map: "NDArray[np.float32]",
    threshold: "Threshold",
) -> None:
    """Write map and mask of a private image, which lies in the folder of its split.

    Args:
        folder: Of the submission.
        anomaly_map: (H, W), raw, of the image's own size.
        threshold: Of pixels.

    Raises:
        ValueError: the map is not finite, or not in float16.
        OSError: nothing can be written.
    """
    with np.errstate(over="ignore"):
        halved = anomaly_map.astype(np.float16)
    if not np.isfinite(halved).all():
        found = f"up to {anomaly_map.max():g}; float16 holds finite numbers below 65504"
        raise ValueError(f"the map of {image} has values {found}")
    called = Image.fromarray(np.where(threshold.exceeded(anomaly_map), 255, 0).astype(np.uint8))
    place = (category, image.parent.name, image.stem)
    write_atomic(folder / file_of(MAPS, *place), lambda draft: tifffile.imwrite(draft, halved))
    save = partial(called.save, compress_level=PNG_LEVEL)
    write_atomic(folder / file_of(CALLED, *place), save)


def _predictions(
    trained: "TrainedModel", images: Sequence[Path], batch_size: int
) -> "Iterator[tuple[Path, Prediction]]":
    """In order, the next images being opened meanwhile."""
    at_once = batch_size if trained.tiling is None else 1
    ready = in_order(trained.prepare, images, ahead=at_once + THREADS, pixels=pixels_said)
    names = iter(images)
    while batch := list(islice(ready, at_once)):
        try:
            yield from zip(islice(names, len(batch)), trained.predict_prepared(batch), strict=True)
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"the GPU has no memory for {len(batch)} images; give a smaller batch_size"
            ) from error

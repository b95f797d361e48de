"""Which images an export is tried on: real ones, if there are any."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rdad.config.build import build_known
from rdad.data.framing import WHOLE, Framing
from rdad.data.images import as_rgb
from rdad.data.samples import images_of

if TYPE_CHECKING:
    from rdad.data import AnomalyDataModule
    from rdad.detector.loaded_run import LoadedRun
    from rdad.detector.trained_model import ImageSource

log = logging.getLogger(__name__)

GENERATED_SIZES = ((256, 256), (480, 640), (300, 200), (97, 211))


@dataclass(frozen=True)
class Evidence:
    """Images to try an export on.

    Attributes:
        described: What they are, for a sentence.
        training: Good images for quantisation; may be empty.
        labels: 1 for defective, one an image; empty where that is not known.
    """

    described: str
    images: Sequence["ImageSource"]
    training: Sequence["ImageSource"]
    labels: Sequence[int] = ()


def find_evidence(
    run: "LoadedRun | None",
    folder: str | None,
    *,
    needs_training: bool = False,
    framing: Framing = WHOLE,
) -> Evidence:
    """Images of the named folder; else the run's own; else generated ones, and a warning.

    Training images are the run's; where they are not known, those of the folder.

    Args:
        framing: The network's, which generated images fit.

    Raises:
        FileNotFoundError: the folder is not there or holds no images.
    """
    named = [] if folder is None else images_of(Path(folder))
    datamodule = _own_data(run) if needs_training or not named else None
    training = named
    if datamodule is not None:
        training = [sample.image for sample in datamodule.train_samples]
    if named:
        return Evidence(f"images of {folder}", named, training)
    if datamodule is None:
        log.warning("generated images tell less than real ones: name some by images=<folder>")
        return Evidence("generated images", _generated(framing), ())
    test = datamodule.test_samples
    images, labels = [one.image for one in test], [one.label for one in test]
    return Evidence("test images of the run", images, training, labels)


def loaded(image: "ImageSource", bits: int) -> NDArray[np.uint8]:
    """One image as an export takes it: uint8 (1, H, W, 3)."""
    return np.asarray(as_rgb(image, bits=bits))[None]


def _own_data(run: "LoadedRun | None") -> "AnomalyDataModule | None":
    """The run's images, unless it is not known or they are gone."""
    if run is None or "dataset" not in run.cfg:
        return None
    try:
        datamodule = build_known(run.cfg.dataset)
        datamodule.framing = run.trained.framing
        datamodule.prepare()
    except (OSError, ValueError) as error:
        log.warning("the run's own images cannot be used: %s", error)
        return None
    return datamodule


def _generated(framing: Framing) -> list[np.ndarray]:
    """Noise over a slope, of four sizes; of the only one where there is a mask."""
    random, (bottom, right) = np.random.default_rng(0), (framing.rectangle or (0, 0, 0, 0))[2:]
    sizes = [(max(high, int(bottom)), max(wide, int(right))) for high, wide in GENERATED_SIZES]
    sizes = [framing.mask_size] if framing.mask_size else sizes
    return [
        (random.integers(0, 128, (*size, 3)) + np.linspace(0, 127, size[1])[None, :, None]).astype(
            np.uint8
        )
        for size in sizes
    ]

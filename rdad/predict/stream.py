"""From paths to predictions, batch by batch, with the next images being opened meanwhile."""

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from rdad.config.mistakes import ConfigError
from rdad.data.facts import NOTHING, Facts
from rdad.data.images import DataError, decode_with_facts, read_bytes
from rdad.data.in_order import THREADS, in_order
from rdad.data.limit import pixels_said
from rdad.detector.trained_model import Prediction, PreparedImage, TrainedModel
from rdad.results.pictures import panel


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one image.

    Attributes:
        prediction: None if there is a `problem`.
        problem: Why the image cannot be used.
        picture: (h, w, 3), uint8: the image in an overlay's size, if pictures were asked for.
        facts: What its file is besides; of one that cannot be used nothing.
    """

    path: Path
    prediction: Prediction | None = None
    problem: str | None = None
    picture: NDArray[np.uint8] | None = None
    facts: Facts = NOTHING


_Opened: TypeAlias = tuple[Outcome, PreparedImage | None]


def outcomes(
    trained: TrainedModel,
    paths: Iterable[Path],
    *,
    batch_size: int,
    pictures: bool = False,
    ignore: Mapping[Path, Path] | None = None,
) -> Generator[Outcome, None, None]:
    """One for each path, in order; memory does not grow with their number.

    Args:
        batch_size: How many images the network sees at once. One that works in tiles sees the
            tiles of one image.
        ignore: The mask of each image, for a network that needs them.
    """
    masks = ignore or {}

    def opened(path: Path) -> _Opened:
        try:
            image, facts = decode_with_facts(read_bytes(path), path, bits=trained.bits)
            picture = np.asarray(panel(image)) if pictures else None
            return Outcome(path, picture=picture, facts=facts), trained.prepare(
                image, masks.get(path)
            )
        except DataError as error:
            reason = "; ".join(error.problems).removeprefix(f"{path}: ")
            return Outcome(path, problem=reason), None

    at_once = batch_size if trained.tiling is None else 1
    ready = in_order(opened, paths, ahead=at_once + THREADS, pixels=pixels_said)
    while batch := list(islice(ready, at_once)):
        yield from _scored(trained, batch)


def _scored(trained: TrainedModel, batch: Sequence[_Opened]) -> Iterator[Outcome]:
    images = [image for _, image in batch if image is not None]
    try:
        predictions = iter(trained.predict_prepared(images))
    except torch.OutOfMemoryError as error:
        said = "an image, with which device=cpu may do"  # of tiles no batch_size says how many
        if len(images) > 1:
            said = f"{len(images)} images at once; name a smaller batch_size"
        raise ConfigError(f"the GPU has no memory for {said}") from error
    for outcome, image in batch:
        if image is None:
            yield outcome
        elif math.isfinite((prediction := next(predictions)).score):
            yield replace(outcome, prediction=prediction)
        else:  # it would pass for good
            problem = f"the network's score for it is {prediction.score}"
            yield Outcome(outcome.path, problem=problem)

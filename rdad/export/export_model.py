"""From a trained network to files that were tried before anybody gets them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from rdad.config.mistakes import ConfigError
from rdad.data.samples import spread
from rdad.detector.loaded_run import LoadedRun
from rdad.detector.trained_model import TrainedModel
from rdad.export.evidence import find_evidence
from rdad.export.formats import FORMATS
from rdad.export.graph import InspectionGraph, traced
from rdad.export.sidecar import is_export, write_sidecar
from rdad.export.trial import tried
from rdad.model.precision import FLOAT32

log = logging.getLogger(__name__)

FP32_IMAGES = 16  # differences are of rounding alone, and show on few


def export_model(
    trained: TrainedModel, run: LoadedRun | None, folder: Path, options: DictConfig
) -> dict[str, Any]:
    """Write a network into a folder as one graph, try it, and say in model.json what it is.

    The folder takes the place of an earlier export as a whole, or is not touched.

    Args:
        run: The network's, if it is known.
        options: As conf/export.yaml.

    Returns:
        What model.json says.

    Raises:
        ConfigError: the network works in tiles or needs a mask for each image, the folder holds
            something else, or int8 has no training images.
        FileNotFoundError, rdad.data.DataError: images are missing or cannot be used.
        ValueError: in fp32, scores or maps differ from the network's by more than 1e-3.
    """
    _refuse(trained, folder)
    precision = options.precision
    in_int8 = precision == "int8"
    needed = {"needs_training": in_int8, "framing": trained.framing}
    evidence = find_evidence(run, options.images, **needed)
    if in_int8 and not evidence.training:
        raise ConfigError(
            "int8 takes its ranges from training images, which are not known here; "
            "name a folder of good images, as in images=data/good"
        )
    training = spread(evidence.training, options.quantisation_images)
    compare = options.compare or (FP32_IMAGES if precision == "fp32" else None)
    with in_place_of(folder) as draft:
        log.info("writing %s %s", options.format, precision)
        graph = InspectionGraph(
            trained.model, trained.thresholds, trained.framing, half=precision == "fp16"
        )
        export = FORMATS[options.format](draft, precision, graph.outputs, trained.bits)
        export.write(traced(graph), training)
        log.info("comparing it with the network on %s", evidence.described)
        in_float32 = replace(trained, precision=FLOAT32)
        trial = tried(export, in_float32, evidence, compare=compare, calls=options.calls)
        return write_sidecar(export, trained, run, trial)


def _refuse(trained: TrainedModel, folder: Path) -> None:
    """Networks that no graph can be of, and a folder that is anything but an earlier export."""
    if trained.tiling is not None:
        height, width = trained.tiling.size
        raise ConfigError(
            f"this network works in tiles of {height} x {width} pixels (dataset.tile), and an "
            "export sees an image as a whole; use rdad.predict or the served model, or train "
            "without tiles"
        )
    if trained.framing.each:
        raise ConfigError(
            "this network needs a mask for each image (dataset.ignore), and an export sees images "
            "alone; use rdad.predict, or train with one mask for all"
        )
    replaceable = not folder.exists() or is_export(folder)
    if not replaceable and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"output {folder} exists and is no earlier export; name another folder")


@contextmanager
def in_place_of(folder: Path) -> Iterator[Path]:
    """A new folder beside, which takes the other's place when all has gone well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        draft, old = Path(beside, "new"), Path(beside, "old")
        draft.mkdir()
        yield draft
        try:
            if folder.exists():
                folder.rename(old)
            draft.rename(folder)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)

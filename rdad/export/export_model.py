"""From a trained network to files that were tried before anybody gets them."""

import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rdad.config.compose import ConfigError
from rdad.export.formats import Written, checked_format
from rdad.export.sidecar import SIDECAR_FILE, write_sidecar
from rdad.model.precision import FLOAT32

if TYPE_CHECKING:
    from rdad.detector.loaded_run import LoadedRun
    from rdad.detector.trained_model import ImageSource, TrainedModel
    from rdad.export.evidence import Evidence
    from rdad.export.trial import Trial

log = logging.getLogger(__name__)

FP32_IMAGES = 16  # differences are of rounding alone, and show on few


@dataclass(frozen=True)
class Settings:
    """How an export is made and tried.

    Attributes:
        format, precision: See `rdad.export.formats.FORMATS`.
        images: A folder of images to try it on; None takes the run's test images.
        compare: On how many of them; None is 16 in fp32, and below it all, for the AUROC.
        quantisation_images: How many training images int8 takes its ranges from.
        calls: How many are timed; 0 times none.
    """

    format: str
    precision: str = "fp32"
    images: str | None = None
    compare: int | None = None
    quantisation_images: int = 128
    calls: int = 30

    def __post_init__(self) -> None:
        for name, least in (("compare", 1), ("quantisation_images", 1), ("calls", 0)):
            found = getattr(self, name)
            if found is not None and found < least:
                raise ConfigError(f"{name} must be {least} or more; found {found}")


def export_model(
    source: "LoadedRun | TrainedModel", folder: Path, settings: Settings
) -> tuple[Written, "Trial"]:
    """Write a network into a folder as one graph, try it, and say in model.json what it is.

    The folder takes the place of an earlier export as a whole, or is not touched.

    Raises:
        ConfigError: the settings are not allowed, packages are missing, or the network works in
            tiles.
        FileNotFoundError, rdad.data.DataError: images are missing or cannot be used.
        ValueError: in fp32, scores or maps differ from the network's by more than 1e-3.
    """
    chosen = checked_format(settings.format, settings.precision)
    from rdad.detector.loaded_run import LoadedRun

    trained = source.trained if isinstance(source, LoadedRun) else source
    _refuse_tiles(trained)
    _refuse_other_content(folder)
    from rdad.export.evidence import find_evidence
    from rdad.export.files import write_export
    from rdad.export.trial import tried

    needs_training = settings.precision == "int8"
    evidence = find_evidence(source, settings.images, needs_training=needs_training)
    quantised_on = _quantised_on(settings, evidence) if needs_training else ()
    compare = settings.compare or (FP32_IMAGES if settings.precision == "fp32" else None)
    with in_place_of(folder) as draft:
        log.info("writing %s %s", chosen.name, settings.precision)
        written = write_export(draft, chosen, settings.precision, trained, quantised_on)
        log.info("comparing it with the network on %s", evidence.described)
        in_float32 = replace(trained, precision=FLOAT32)
        trial = tried(written, in_float32, evidence, compare=compare, calls=settings.calls)
        write_sidecar(written, source, trained, trial)
    return replace(written, folder=folder), trial


def _refuse_tiles(trained: "TrainedModel") -> None:
    if trained.tiling is not None:
        height, width = trained.tiling.size
        raise ConfigError(
            f"this network works in tiles of {height} x {width} pixels (dataset.tile), and an "
            "export sees an image as a whole; use rdad.predict or the served model, or train "
            "without tiles"
        )


def _refuse_other_content(folder: Path) -> None:
    """Only an earlier export is replaced."""
    if not folder.exists() or (folder / SIDECAR_FILE).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise ConfigError(f"output {folder} exists and is no earlier export; name another folder")


def _quantised_on(settings: Settings, evidence: "Evidence") -> Sequence["ImageSource"]:
    from rdad.export.agreement import spread

    training = evidence.training
    if not training:
        raise ConfigError(
            "int8 takes its ranges from training images, which are not known here; "
            "name a folder of good images, as in images=data/good"
        )
    return [training[place] for place in spread(len(training), settings.quantisation_images)]


@contextmanager
def in_place_of(folder: Path) -> Iterator[Path]:
    """A new folder beside, which takes the other's place when all has gone well."""
    mark = uuid.uuid4().hex
    draft, old = (folder.with_name(f".{folder.name}-{end}-{mark}") for end in ("new", "old"))
    draft.mkdir(parents=True)
    try:
        yield draft
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

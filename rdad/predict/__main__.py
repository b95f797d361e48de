"""python -m rdad.predict: scores, verdicts, maps and pictures of any images."""

import logging
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig
from tqdm import tqdm

from rdad.config.command import BAD_INPUT, Command
from rdad.config.compose import ConfigError
from rdad.config.schema import SourceConfig
from rdad.data.depth import checked_bits
from rdad.data.facts import Seen
from rdad.experiment.sources import opened
from rdad.predict.paths import find_images
from rdad.predict.rows import (
    ERROR,
    FILE_FORMATS,
    FIRST_COLUMNS,
    MAP,
    OVERLAY,
    TABLE,
    Tally,
    Writer,
    row,
    row_writer,
)
from rdad.runs.names import expanded

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel
    from rdad.predict.pictures import Written

log = logging.getLogger(__name__)

SOME_FAILED = 4  # exit code

COMMAND = Command(
    name="predict",
    summary=(
        "Score images with a trained network: files, folders with all that is below them,\n"
        "patterns in quotes, or - for a list of paths on standard input. Exit codes: 0 all were\n"
        f"scored, {SOME_FAILED} some could not be used, {BAD_INPUT} nothing was scored."
    ),
    usage="RUN IMAGE...",
    least=2,
    most=None,
    examples=(
        "outputs/demo photo.png",
        "outputs/demo parts/ output=results overlays=true maps=true",
        "models:/toothbrush@champion 'parts/**/*.jpg' format=jsonl",
    ),
)


@dataclass
class PredictConfig(SourceConfig):
    """The options of conf/predict.yaml, which says what they are for."""

    output: str | None = MISSING
    format: str | None = MISSING
    overlays: bool = MISSING
    maps: bool = MISSING
    overwrite: bool = MISSING
    batch_size: int = MISSING
    ignore: str | None = MISSING
    bits: int | None = MISSING
    device: str = MISSING


ConfigStore.instance().store(name="predict_schema", node=PredictConfig)


def predict(arguments: Sequence[str], cfg: DictConfig) -> int:
    """Score the images that a command line names; gives the exit code."""
    _check(cfg)
    source, *named = arguments
    images = find_images(named, sys.stdin.buffer)
    trained = _opened(source, cfg)
    masks = _masks(trained, images, cfg.ignore)
    tally, seen = Tally(len(images)), Seen(trained.bits)
    with ExitStack() as stack:  # closes the bar, then the file, and then counts, however it ends
        stack.callback(lambda: print(tally, file=sys.stderr))
        stack.callback(seen.tell)
        keep, show = _writers(cfg, stack)
        results = stack.enter_context(closing(_results(trained, images, masks, cfg)))
        bar = tqdm(total=len(images), unit="image", disable=None, dynamic_ncols=True)
        stack.enter_context(bar)
        for outcome, files in results:
            bar.update()
            with bar.external_write_mode():  # gives way while a row is written
                values = row(outcome, files)
                keep(values)
                seen.add(outcome.path, outcome.facts)
                tally.count(outcome)  # right behind, so that Ctrl-C hardly comes between
                show(values)
    if not tally.scored:
        return BAD_INPUT
    return SOME_FAILED if tally.failed else 0


def _opened(source: str, cfg: DictConfig) -> "TrainedModel":
    from rdad.detector.device import chosen_device

    device = chosen_device(cfg.device)
    trained, _ = opened(source, cfg)
    trained = replace(trained, bits=cfg.bits or trained.bits)
    log.info("thresholds: %s", trained.thresholds or "none, so there are scores and no verdicts")
    return trained.to(device)


def _results(
    trained: "TrainedModel", images: Sequence[Path], masks: Mapping[Path, Path], cfg: DictConfig
) -> "Generator[Written, None, None]":
    """What came of each image, once the files that are asked for are written."""
    from rdad.predict.pictures import with_files
    from rdad.predict.stream import outcomes

    how = {"batch_size": cfg.batch_size, "pictures": cfg.overlays, "ignore": masks}
    found = outcomes(trained, images, **how)
    if not (kinds := _file_kinds(cfg)):
        return ((outcome, {}) for outcome in found)
    folder, thresholds = expanded(cfg.output), trained.thresholds
    return with_files(found, images, folder, kinds=kinds, thresholds=thresholds)


def _masks(trained: "TrainedModel", images: Sequence[Path], folder: str | None) -> dict[Path, Path]:
    """The mask of each image, where the network was trained with such; no network goes without.

    Raises:
        ConfigError: no folder is named for such a network, or one for another.
        DataError: an image has no mask there.
    """
    from rdad.data.ignoring import existing, find_masks

    if trained.framing.each == (folder is None):
        needed = "with a mask for each image: name their folder by ignore=…"
        said = needed if folder is None else "without a mask for each image: leave ignore out"
        raise ConfigError(f"{trained.name} was trained {said}")
    return (
        {}
        if folder is None
        else dict(zip(images, find_masks(existing(folder), images), strict=True))
    )


def _writers(cfg: DictConfig, stack: ExitStack) -> tuple[Writer, Writer]:
    """Write rows to the file in the output folder, where there is one, and to standard output."""
    columns = (*FIRST_COLUMNS, *_file_kinds(cfg), ERROR)
    path = _results_file(cfg)
    if path is None:
        return lambda values: None, row_writer(sys.stdout, cfg.format or TABLE, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    output = path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    file = row_writer(stack.enter_context(output), cfg.format or FILE_FORMATS[0], columns)
    stack.callback(lambda: log.info("results are in %s", path))
    return file, row_writer(sys.stdout, TABLE, columns)


def _check(cfg: DictConfig) -> None:
    """Raises ConfigError where a value is not allowed, or results would be written over."""
    if cfg.format not in (None, *FILE_FORMATS):
        raise ConfigError(f"format={cfg.format}; allowed: {', '.join(FILE_FORMATS)}")
    if cfg.batch_size < 1:
        raise ConfigError(f"batch_size={cfg.batch_size}; allowed: 1 or more")
    if cfg.bits is not None:
        checked_bits(cfg.bits)
    if _file_kinds(cfg) and not cfg.output:
        raise ConfigError("overlays and maps need a folder, as in output=results")
    path = _results_file(cfg)
    if path and path.exists() and not cfg.overwrite:
        raise ConfigError(f"{path} is there already; name another output, or say overwrite=true")


def _results_file(cfg: DictConfig) -> Path | None:
    """None where rows go to standard output alone."""
    return expanded(cfg.output) / f"results.{cfg.format or FILE_FORMATS[0]}" if cfg.output else None


def _file_kinds(cfg: DictConfig) -> list[str]:
    """Which files are written of each image: OVERLAY, MAP, both or none."""
    return [kind for kind, wanted in ((OVERLAY, cfg.overlays), (MAP, cfg.maps)) if wanted]


if __name__ == "__main__":
    sys.exit(COMMAND.main(predict))

"""python -m rdad.predict: scores, verdicts, maps and pictures of any images."""

import logging
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig
from tqdm import tqdm

from rdad.config.allowed import choice, number
from rdad.config.checks import asked_threshold, check_values
from rdad.config.command import BAD_INPUT, Command
from rdad.config.mistakes import ConfigError
from rdad.config.schema import JudgingConfig, SourceConfig
from rdad.data.depth import checked_bits
from rdad.data.facts import Seen
from rdad.experiment.open_model import opened
from rdad.predict.annotations import CocoFile
from rdad.predict.paths import find_images
from rdad.predict.rows import (
    COCO,
    ERROR,
    FILE_FORMATS,
    FIRST_COLUMNS,
    LABELME,
    MAP,
    MASK,
    OVERLAY,
    TABLE,
    Tally,
    Writer,
    row,
    row_writer,
)
from rdad.runs.names import expanded
from rdad.runs.slow_imports import slow_imports

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel
    from rdad.predict.pictures import Written

log = logging.getLogger(__name__)

SOME_FAILED = 4  # exit code
DEFAULT_FORMAT = "csv"

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
        "outputs/demo parts/ threshold=1.9",
        "outputs/demo parts/ output=results format=coco masks=true regions.smallest=20",
        "models:/toothbrush@champion 'parts/**/*.jpg' format=jsonl",
    ),
)


FILES = {OVERLAY: "overlays", MAP: "maps", MASK: "masks", LABELME: "labelme"}
"""Of each image, by the options that ask for them."""


@dataclass
class RegionsConfig:
    smallest: int = number(1)


@dataclass
class PredictConfig(JudgingConfig, SourceConfig):
    """The options of conf/predict.yaml, which says what they are for."""

    output: str | None = MISSING
    format: str | None = choice(*FILE_FORMATS)
    overlays: bool = MISSING
    maps: bool = MISSING
    masks: bool = MISSING
    labelme: bool = MISSING
    regions: RegionsConfig = field(default_factory=RegionsConfig)
    overwrite: bool = MISSING
    batch_size: int = number(1)
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
        keep, show = _writers(cfg, stack, said=f"thresholds: {trained.thresholds}")
        smallest = cfg.regions.smallest if cfg.output or cfg.format else None
        results = stack.enter_context(closing(_results(trained, images, masks, cfg)))
        bar = tqdm(total=len(images), unit="image", disable=None, dynamic_ncols=True)
        stack.enter_context(bar)
        for outcome, files in results:
            bar.update()
            with bar.external_write_mode():  # gives way while a row is written
                values = row(outcome, files, smallest=smallest)
                keep(values)
                seen.add(outcome.path, outcome.facts)
                tally.count(outcome)  # right behind, so that Ctrl-C hardly comes between
                show(values)
    if not tally.scored:
        return BAD_INPUT
    return SOME_FAILED if tally.failed else 0


def _opened(source: str, cfg: DictConfig) -> "TrainedModel":
    with slow_imports():
        from rdad.detector.device import chosen_device

    device = chosen_device(cfg.device)
    trained, _ = opened(source, cfg)
    trained = replace(trained.judging(**asked_threshold(cfg)), bits=cfg.bits or trained.bits)
    log.info("thresholds: %s", trained.thresholds or "none, so there are scores and no verdicts")
    if trained.thresholds is None and (cfg.masks or cfg.labelme or cfg.format == COCO):
        raise ConfigError(
            "masks, labelme and format=coco tell what is above the pixel threshold, and "
            f"{trained.name} has none; name one by threshold=<score>"
        )
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
    given = {"kinds": kinds, "thresholds": thresholds, "smallest": cfg.regions.smallest}
    return with_files(found, images, folder, **given)


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
    if folder is None:
        return {}
    return dict(zip(images, find_masks(existing(folder), images), strict=True))


def _writers(cfg: DictConfig, stack: ExitStack, *, said: str) -> tuple[Writer, Writer]:
    """Write rows to the file in the output folder, where there is one, and to standard output."""
    columns = (*FIRST_COLUMNS, *_file_kinds(cfg), ERROR)

    def writer(file: TextIO, form: str) -> Writer:
        if form != COCO:
            return row_writer(file, form, columns)
        document = CocoFile(file, said)
        stack.callback(document.close)
        return document.add

    path = _results_file(cfg)
    if path is None:
        return lambda values: None, writer(sys.stdout, cfg.format or TABLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    output = path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    stack.callback(lambda: log.info("results are in %s", path))
    file = writer(stack.enter_context(output), cfg.format or DEFAULT_FORMAT)
    return file, writer(sys.stdout, TABLE)


def _check(cfg: DictConfig) -> None:
    """Raises ConfigError where a value is not allowed, or results would be written over."""
    check_values(PredictConfig, cfg)
    asked_threshold(cfg)
    if cfg.bits is not None:
        checked_bits(cfg.bits)
    if _file_kinds(cfg) and not cfg.output:
        options = ", ".join(FILES.values())
        raise ConfigError(f"each of {options} needs a folder, as in output=results")
    path = _results_file(cfg)
    if path and path.exists() and not cfg.overwrite:
        raise ConfigError(f"{path} is there already; name another output, or say overwrite=true")


def _results_file(cfg: DictConfig) -> Path | None:
    """None where rows go to standard output alone."""
    if not cfg.output:
        return None
    return expanded(cfg.output) / f"results.{FILE_FORMATS[cfg.format or DEFAULT_FORMAT]}"


def _file_kinds(cfg: DictConfig) -> list[str]:
    """Which files are written of each image, by their columns."""
    return [kind for kind, option in FILES.items() if cfg[option]]


if __name__ == "__main__":
    sys.exit(COMMAND.main(predict))

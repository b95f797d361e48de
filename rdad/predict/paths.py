"""Which images a command's arguments mean: files, folders, patterns, a list through a pipe."""

import glob
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from rdad.config.command import STDIN
from rdad.data.listed import read_paths
from rdad.data.samples import IMAGE_SUFFIXES, folders_below, is_image_name, list_images
from rdad.data.unused import warn_of_unused
from rdad.runs.names import expanded, on_disk

log = logging.getLogger(__name__)


def find_images(arguments: Sequence[str], stdin: BinaryIO) -> list[Path]:
    """The images in the arguments' order; those of a folder or a pattern sorted.

    Files are taken whether they are there or not, so that a missing one is reported in its turn.

    Raises:
        FileNotFoundError: a folder, a pattern or the list has no image.
        ValueError: the list does not end.
    """
    return [path for argument in arguments for path in _meant(argument, stdin)]


def _meant(argument: str, stdin: BinaryIO) -> Iterable[Path]:
    if argument == STDIN:
        return read_paths(stdin, "on standard input")
    path = on_disk(expanded(argument))
    if path.is_dir():
        return _in_folder(path)
    if glob.has_magic(argument) and not path.exists():
        return _matching(str(path))
    return [path]


def _in_folder(folder: Path) -> list[Path]:
    folders = list(folders_below(folder))
    images = [image for one in folders for image in list_images(one)]
    if images:
        log.info("%d images in %s", len(images), folder)
        warn_of_unused(folders)
        return images
    if is_image_name(folder):
        return [folder]  # to be reported as a folder that is taken for an image
    raise FileNotFoundError(
        f"no images in {folder} or the folders in it; expected files ending in "
        f"{', '.join(IMAGE_SUFFIXES)}"
    )


def _matching(pattern: str) -> list[Path]:
    images = sorted(filter(is_image_name, map(Path, glob.glob(pattern, recursive=True))))  # noqa: PTH207  Path.glob takes no absolute pattern
    if not images:
        raise FileNotFoundError(f"{pattern} matches no file ending in {', '.join(IMAGE_SUFFIXES)}")
    log.info("%d images match %s", len(images), pattern)
    return images

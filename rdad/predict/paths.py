"""Which images a command's arguments mean: files, folders, patterns, a list through a pipe."""

import glob
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from rdad.config.command import STDIN
from rdad.data.samples import IMAGE_SUFFIXES, folders_below, is_image_name, list_images
from rdad.data.unused import warn_of_unused

log = logging.getLogger(__name__)

LONGEST_LIST = 2**28  # characters: millions of paths, and an end to what has none


def find_images(arguments: Sequence[str], stdin: TextIO) -> list[Path]:
    """The images in the arguments' order; those of a folder or a pattern sorted.

    Files are taken whether they are there or not, so that a missing one is reported in its turn.

    Raises:
        FileNotFoundError: a folder, a pattern or the list has no image.
        ValueError: the list does not end.
    """
    return [path for argument in arguments for path in _meant(argument, stdin)]


def _meant(argument: str, stdin: TextIO) -> Iterable[Path]:
    path = Path(argument).expanduser()
    if argument == STDIN:
        return _listed(stdin)
    if path.is_dir():
        return _in_folder(path)
    if glob.has_magic(argument) and not path.exists():
        return _matching(str(path))
    return [path]


def _listed(stdin: TextIO) -> list[Path]:
    """One path a line, or between the zero bytes of `find -print0`."""
    text = stdin.read(LONGEST_LIST + 1)
    if len(text) > LONGEST_LIST:
        raise ValueError(
            f"the list of images on standard input goes on after {LONGEST_LIST:,} characters; "
            "name a shorter list, or a folder or pattern"
        )
    lines = text.split("\0") if "\0" in text else text.splitlines()
    if not any(lines):
        raise FileNotFoundError("the list of images on standard input is empty")
    return [Path(line) for line in lines if line]


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

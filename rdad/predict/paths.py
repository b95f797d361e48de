"""Which images a command's arguments mean: files, folders, patterns, a list through a pipe."""

import glob
import logging
import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from rdad.config.command import STDIN
from rdad.data.samples import IMAGE_SUFFIXES, folders_below, is_image_name, list_images
from rdad.data.unused import warn_of_unused
from rdad.runs.names import expanded, on_disk

log = logging.getLogger(__name__)

LONGEST_LIST = 2**28  # bytes: millions of paths, and an end to what has none


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
        return _listed(stdin)
    path = on_disk(expanded(argument))
    if path.is_dir():
        return _in_folder(path)
    if glob.has_magic(argument) and not path.exists():
        return _matching(str(path))
    return [path]


def _listed(stdin: BinaryIO) -> list[Path]:
    """One path a line, or between the zero bytes of `find -print0`."""
    content = stdin.read(LONGEST_LIST + 1)
    if len(content) > LONGEST_LIST:
        raise ValueError(
            f"the list of images on standard input goes on after {LONGEST_LIST:,} bytes; "
            "name a shorter list, or a folder or pattern"
        )
    text = _decoded(content)
    lines = text.split("\0") if "\0" in text else text.splitlines()
    if not any(lines):
        raise FileNotFoundError("the list of images on standard input is empty")
    return [on_disk(Path(line)) for line in lines if line]


def _decoded(content: bytes) -> str:
    """By its byte order mark, which Windows' programs write; without one the names' own bytes."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return os.fsdecode(content.removeprefix(BOM_UTF8))


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

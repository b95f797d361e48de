"""Lists of images, in a text file or through a pipe: one path a line."""

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import BinaryIO

from rdad.data.samples import is_image_name
from rdad.runs.names import expanded, on_disk

LONGEST_QUOTED = 200  # characters of a line
LONGEST_LIST = 2**28  # bytes: millions of paths, and an end to what has none


def read_paths(file: BinaryIO, called: str) -> list[Path]:
    """One path a line, or between the zero bytes of `find -print0`.

    Raises:
        FileNotFoundError: the list has none.
        ValueError: it does not end.
    """
    content = file.read(LONGEST_LIST + 1)
    if len(content) > LONGEST_LIST:
        raise ValueError(
            f"the list of images {called} goes on after {LONGEST_LIST:,} bytes; "
            "name a shorter list, or a folder or pattern"
        )
    text = _decoded(content)
    lines = text.split("\0") if "\0" in text else text.splitlines()
    if not any(lines):
        raise FileNotFoundError(f"the list of images {called} is empty")
    return [on_disk(Path(line)) for line in lines if line]


def listed_images(file: Path, base: Path) -> list[Path]:
    """The image that a file is, or those that it lists: under `base`, or from the current folder.

    Raises:
        FileNotFoundError: one of them is not there, or there is none.
        ValueError: the list does not end, or a line of it is no image.
    """
    if is_image_name(file):
        return [file]
    with file.open("rb") as opened:
        paths = read_paths(opened, f"in {file}")
    places = [(on_disk(base / path), path) for path in paths]
    try:
        found = [place if place.exists() else expanded(path) for place, path in places]
    except (OSError, ValueError) as error:  # longer than any name may be, or with a zero byte
        raise ValueError(f"{file} is no list of images, one path a line") from error
    for path in found:
        if not path.is_file():
            raise FileNotFoundError(f"{file} lists {str(path)[:LONGEST_QUOTED]}, which is no file")
        if not is_image_name(path):
            raise ValueError(f"{file} lists {str(path)[:LONGEST_QUOTED]}, whose name is no image's")
    return found


def _decoded(content: bytes) -> str:
    """By its byte order mark, which Windows' programs write; without one the names' own bytes."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return os.fsdecode(content.removeprefix(BOM_UTF8))

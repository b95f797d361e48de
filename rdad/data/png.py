"""Whether a PNG file holds all its pixels: Pillow leaves those that are missing black."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PART_BYTES = 2**20


def check_whole(content: bytes, image: Image.Image) -> None:
    """Raises ValueError if the pixels end early. Only what ends black, as they then do, is counted.

    Args:
        image: The decoded content, of any format.
    """
    if not content.startswith(SIGNATURE) or image.format != "PNG":
        return
    width, height = image.size
    depth, colours, *_, interlaced = struct.unpack(">BBBBB", content[24:29])
    if interlaced or np.asarray(image.crop((0, height - 1, width, height))).any():
        return  # of an interlaced one Pillow says so itself
    expected = height * (1 + (width * depth * CHANNELS[colours] + 7) // 8)
    found = _inflated(content)
    if found < expected:
        raise ValueError(f"its pixels end early: {found} of {expected} bytes")


def _inflated(content: bytes) -> int:
    """How many bytes the compressed pixels give."""
    stream, total = zlib.decompressobj(), 0
    for part in _parts(content):
        left = part
        while left:
            total += len(stream.decompress(left, PART_BYTES))
            left = stream.unconsumed_tail
    return total + len(stream.flush())


def _parts(content: bytes) -> Iterator[bytes]:
    place = len(SIGNATURE)
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == b"IDAT":
            yield content[place + 8 : place + 8 + length]
        place += length + 12

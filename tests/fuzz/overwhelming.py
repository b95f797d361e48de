"""Small files that say they are large, or hold far more than they look like."""

import io
import struct
import zlib
from collections.abc import Callable
from random import Random

from PIL import Image

LARGE = (0, 1, 65_535, 100_000, 2**31 - 1, 2**32 - 1)
SIDE = 10_000  # squared, the most pixels that are opened


def overwhelming(random: Random) -> bytes:
    return random.choice(KINDS)(random)


def _png(random: Random) -> bytes:
    """Any sides and depth, over pixels that are too few, as many as are said, or too many."""
    width, height = random.choice(LARGE), random.choice(LARGE)
    depth, colours = random.choice([1, 2, 8, 16, 3]), random.choice([0, 2, 3, 4, 6, 5])
    pixels = bytes(random.choice([10, 100_000, 20_000_000]))
    return png(width, height, depth, colours, pixels, interlaced=random.randrange(2))


def png(
    width: int, height: int, depth: int, colours: int, pixels: bytes, *, interlaced: int = 0
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    palette = _chunk(b"PLTE", bytes(768)) if colours == 3 else b""
    parts = (_chunk(b"IHDR", head), palette, _chunk(b"IDAT", zlib.compress(pixels, 1)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def _png_with_text(random: Random) -> bytes:
    """A megabyte of text or colour profile in each of many chunks, compressed to one kilobyte."""
    size = random.choice([2**20, 2**26])
    kind = random.choice([b"zTXt", b"iCCP", b"iTXt", b"eXIf"])
    packed = zlib.compress(bytes(size), 9)
    content = b"key\0\1\0\0\0" + packed if kind == b"iTXt" else b"key\0\0" + packed
    whole = png(20, 20, 8, 0, bytes(420))
    return whole[:33] + _chunk(kind, content) * random.randint(1, 70) + whole[33:]


def _largest(random: Random) -> bytes:
    """An image of just as many pixels as are opened; rarely, as each takes seconds."""
    if random.random() < 0.8:
        return _png_with_text(random)
    depth, colours, channels = random.choice(
        [(8, 0, 1), (8, 2, 3), (8, 3, 1), (8, 4, 2), (8, 6, 4), (16, 0, 2), (1, 0, 1)]
    )
    row = b"\0" + bytes([random.randrange(1, 255)]) * (SIDE * channels // (8 if depth == 1 else 1))
    return png(SIDE, SIDE, depth, colours, row * SIDE)


def _tiff(random: Random) -> bytes:
    """Tags with huge counts and offsets, and directories that follow themselves."""
    tags = []
    for tag in (256, 257, 258, 259, 262, 273, 277, 278, 279, 274, 317, 320, 330, 34665, 34853):
        if random.random() < 0.8:
            kind, count = (
                random.choice([1, 2, 3, 4, 5, 7, 13, 99]),
                random.choice([1, 1, 1, *LARGE]),
            )
            value = random.choice([1, 3, 8, 20, *LARGE])
            tags.append(struct.pack("<HHII", tag, kind, count, value))
    following = random.choice([0, 8, 4, 2**32 - 1])
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory + random.randbytes(random.choice([0, 500]))


def _gif(random: Random) -> bytes:
    sides = struct.pack("<HH", 65_535, random.choice([1, 65_535]))
    frame = b"\x2c" + struct.pack("<HHHH", *random.choices([0, 1, 65_535], k=4))
    pixels = b"\0\x02\x02\x4c\x01\0"
    return b"GIF89a" + sides + b"\x80\0\0" + bytes(6) + frame + pixels * random.randint(0, 3) + b";"


def _jpeg(random: Random) -> bytes:
    """A picture whose header says other sides, or many scans of the same."""
    content = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(content, "JPEG", progressive=True)
    data = bytearray(content.getvalue())
    start = data.index(b"\xff\xc2")
    data[start + 5 : start + 9] = struct.pack(">HH", *random.choices([0, 1, 9_000, 65_535], k=2))
    scan = data.index(b"\xff\xda")
    return bytes(data[:scan] + data[scan:-2] * random.choice([1, 400]) + data[-2:])


def _bmp(random: Random) -> bytes:
    sides = [random.choice([1, -1, -(2**31), 2**31 - 1, 60_000, 9_000]) for _ in range(2)]
    depth, packed = random.choice([1, 4, 8, 24, 32, 0, 99]), random.choice([0, 1, 2, 3, 9])
    colours = random.choice([0, 256, 2**31])
    info = struct.pack("<IiiHHIIiiII", 40, *sides, 1, depth, packed, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 99, 0, 0, random.choice([54, 0, 2**31])) + info + bytes(99)


def _netpbm(random: Random) -> bytes:
    kind, size = random.choice(["P1", "P2", "P3", "P4", "P5", "P6", "Pf"]), random.choice(LARGE)
    most = random.choice([1, 255, 65_535, 0, 10**30])
    comment = "#" * random.choice([0, 100_000])
    return f"{kind}\n{comment}\n{size} {random.choice(LARGE)}\n{most}\n".encode() + bytes(999)


def _jpeg2000(random: Random) -> bytes:
    sides, tiles = (
        random.choices([1, 9_000, 2**31, 2**32 - 1], k=2),
        random.choices([1, 64, 2**31], k=2),
    )
    size = struct.pack(">HIIIIIIIIH", 0, *sides, 0, 0, *tiles, 0, 0, random.choice([1, 3, 16_384]))
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + b"\x07\x01\x01" * 3


def _program(random: Random) -> bytes:
    """Formats that Pillow has other programs read, or that name other files."""
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file\n"
    return random.choice(
        [page, b"%PDF-1.4\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"FLIF0"]
    )


KINDS: tuple[Callable[[Random], bytes], ...] = (
    *(_png, _png_with_text, _largest, _tiff, _gif, _jpeg, _bmp, _netpbm, _jpeg2000, _program),
)

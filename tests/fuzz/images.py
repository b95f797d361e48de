"""Files named like images: of each format that Pillow writes, whole, changed, or overwhelming.

What is whole gives the pixels that were written. What is not is refused, or gives an image within
the limits; of a file that is cut off, and of any changed PNG, only the whole one's pixels.
"""

import io
import os
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuzz.changes import words
from fuzz.overwhelming import overwhelming
from fuzz.trials import REFUSED, RIGHT
from rdad.data.images import DataError, decode_classes, load_image, resize_image
from rdad.data.limit import DEFAULT_LIMIT, pixels_said
from rdad.data.samples import IMAGE_SUFFIXES

MODES = {  # of each format of Pillow, with the options that are drawn from
    "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "jpeg": ["L", "RGB", "CMYK"],
    "bmp": ["1", "L", "P", "RGB"],
    "tiff": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "F"],
    "webp": ["L", "RGB", "RGBA"],
    "gif": ["1", "L", "P"],
    "jpeg2000": ["L", "LA", "RGB", "RGBA"],
    "ppm": ["1", "L", "RGB", "I;16"],
    "avif": ["RGB", "RGBA"],
    "ico": ["RGBA"],
    "tga": ["L", "LA", "P", "RGB", "RGBA"],
    "pcx": ["1", "L", "RGB"],  # of a palette, which is at the end, nothing says that it is missing
    "sgi": ["L", "RGB", "RGBA"],
    "dds": ["L", "RGB", "RGBA"],
    "mpo": ["RGB"],
    "im": ["1", "L", "P", "RGB"],
    "eps": ["L", "RGB"],
}
LOSSY = ("jpeg", "mpo", "jpeg2000", "webp", "avif")
ODD_NAMES = (
    *words("-rf .. 画像 a'b\"c %s {x} $HOME a*b? ~ - CON con.png.exe"),
    *("a\nb", "\x1b[2J", "a" * 240, " ", os.fsdecode(b"caf\xe9")),
)
TOLERANCE = 12  # mean difference of levels that a lossy format leaves of a smooth picture


class Written(NamedTuple):
    """A file, what its pixels must be if anything, and whether it is as it was written."""

    content: bytes
    pixels: NDArray[np.uint8] | None
    tolerance: float
    whole: bool
    about: str


def attempt(random: Random, folder: Path) -> str:
    if random.random() < 0.03:
        return _judged(_no_file(random, folder), None)
    made = written(random)
    name = random.choice(ODD_NAMES) if random.random() < 0.1 else "image"
    path = folder / f"{name}{random.choice(IMAGE_SUFFIXES)}"
    path.write_bytes(made.content)
    return _judged(path, made)


def _judged(path: Path, made: Written | None) -> str:
    assert pixels_said(path) >= 0
    try:
        image = load_image(path)
    except DataError as error:
        said = error.problems[0]
        assert said.startswith(f"{path}: ")
        assert not (made and made.whole and made.pixels is not None), f"{made.about}: {said}"
        return REFUSED
    assert image.mode == "RGB"
    assert 0 < image.width * image.height <= DEFAULT_LIMIT
    assert resize_image(image, (32, 32)).shape == (32, 32, 3)
    if made and made.pixels is not None:
        _assert_same(np.asarray(image), made.pixels, made)
    size = image.size
    del image  # for the memory of each alone
    _check_as_mask(path, size)
    return RIGHT


def _assert_same(found: NDArray[np.uint8], expected: NDArray[np.uint8], made: Written) -> None:
    assert found.shape == expected.shape, f"{found.shape} of {made.about}"
    away = np.abs(found.astype(np.int16) - expected).mean()
    assert away <= made.tolerance, f"{away} levels from what was written: {made.about}"


def _check_as_mask(path: Path, size: tuple[int, int]) -> None:
    try:
        mask, classes, _ = decode_classes(path.read_bytes(), path)
    except DataError as error:
        said = error.problems[0]
        assert said.startswith(f"{path}: ")
        return
    assert (mask.mode, mask.size) == ("L", size)
    assert classes >= 0


def _no_file(random: Random, folder: Path) -> Path:
    """What can stand in the place of a file."""
    path, target = folder / "image.png", folder / "target"
    match random.randrange(6):
        case 0:
            path.mkdir()
        case 1:
            path.symlink_to(
                random.choice([target, path, "/dev/zero", "/dev/null", "/proc/self/mem"])
            )
        case 2:
            os.mkfifo(path)
        case 3:
            os.mkfifo(target)
            path.symlink_to(target)
        case 4:
            return folder / random.choice(["nowhere.png", f"{'n' * 300}.png", "a\0.png"])
        case _:
            path.touch()
    return path


def written(random: Random) -> Written:
    if random.random() < 0.2:
        return Written(overwhelming(random), None, 0, False, "overwhelming")
    kind = random.choice(list(MODES))
    image = _picture(random, random.choice(MODES[kind]))
    content = _saved(random, image, kind)
    if kind == "eps" or image.mode == "F":
        return Written(content, None, 0, True, f"{kind} {image.mode}")
    pixels = _as_read(image, content) if kind in LOSSY or image.mode == "P" else _shown(image)
    if random.random() < 0.3:
        return Written(content, pixels, 1, True, f"{kind} {image.mode}")
    changed, how = _changed(random, content)
    keeps = (how.startswith("cut") or kind == "png") and kind not in LOSSY
    told = f"{kind} {image.mode} {image.size}, {how} of {len(content)} bytes"
    return Written(changed, pixels if keeps else None, 1, False, told)


def _picture(random: Random, mode: str) -> Image.Image:
    """A smooth picture with some edges, of a mode of Pillow."""
    size = random.choice([(1, 1), (1, 70), (64, 48), (33, 47), (90, 65)])
    rows, columns = np.mgrid[: size[1], : size[0]]
    waves = [
        128 + 90 * np.sin(rows / (9 + 3 * n) + n) * np.cos(columns / (7 + n)) for n in range(4)
    ]
    values = np.stack(waves, axis=-1).astype(np.uint8)
    values[size[1] // 2 :, size[0] // 2 :] = random.randrange(256)
    if mode == "I;16":
        return Image.fromarray((values[..., 0].astype(np.uint16) << 8) + random.randrange(256))
    if mode == "F":
        return Image.fromarray(values[..., 0].astype(np.float32))
    return Image.fromarray(values).convert("RGB" if mode == "P" else "RGBA").convert(mode)


def _saved(random: Random, image: Image.Image, kind: str) -> bytes:
    options: dict[str, object] = {}
    if kind == "jpeg":
        options = {"quality": random.choice([75, 95]), "progressive": random.random() < 0.5}
    if kind == "tiff" and image.mode in ("L", "RGB", "RGBA"):
        options = {"compression": random.choice([None, "tiff_lzw", "tiff_deflate", "packbits"])}
    if kind in ("png", "jpeg", "webp", "tiff") and random.random() < 0.2:
        exif = Image.Exif()
        exif[0x010E] = "a picture"
        options["exif"] = exif
    if kind in ("png", "gif", "tiff", "webp") and image.mode != "I;16" and random.random() < 0.1:
        options |= {"save_all": True, "append_images": [image.rotate(180)]}
    if kind == "ico":
        options = {"sizes": [image.size]}
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def _shown(image: Image.Image) -> NDArray[np.uint8]:
    """The rules of `rdad.data.images`, said another way."""
    if image.mode == "I;16":
        high = (np.asarray(image) // 256).astype(np.uint8)
        return np.stack([high] * 3, axis=-1)
    if image.mode in ("LA", "RGBA"):
        values = np.asarray(image.convert("RGBA")).astype(float)
        return np.round(values[..., :3] * values[..., 3:] / 255).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def _as_read(image: Image.Image, content: bytes) -> NDArray[np.uint8]:
    """What Pillow reads of it, which must be like what was written."""
    with Image.open(io.BytesIO(content)) as read:
        shown = _shown(read.convert("RGBA") if read.has_transparency_data else read)
    expected = _shown(image)
    assert np.abs(shown.astype(np.int16) - expected).mean() <= TOLERANCE
    return shown


def _changed(random: Random, content: bytes) -> tuple[bytes, str]:
    """The content with something done to it, and what."""
    data = bytearray(content)
    where = random.randrange(len(data))
    match random.randrange(8):
        case 0 | 1:
            return content[:where], f"cut at {where}"
        case 2:
            how = "bits flipped"
            for _ in range(random.randint(1, 20)):
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        case 3:
            how, length = "overwritten", random.randint(1, 200)
            data[where : where + length] = bytes([random.choice([0, 255])]) * length
        case 4:
            how = "doubled"
            data[where:where] = data[: random.randrange(len(data))]
        case 5:
            how = "another number"
            number = random.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
            place = random.randrange(min(len(data), 120))
            data[place : place + 4] = number.to_bytes(4, random.choice(["big", "little"]))
        case 6:
            how = "more at its end"
            data += random.randbytes(random.randint(1, 3000))
        case _:
            how = "more at its start"
            data[:0] = random.choice([b"\n", b"\xef\xbb\xbf", random.randbytes(30), content[:50]])
    return bytes(data), how

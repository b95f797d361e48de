"""Files of every format and depth, written by Pillow, against the pixels they were made of."""

import io
import os
import pickle
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdad.data.images import (
    DataError,
    as_rgb,
    decode_classes,
    decode_mask,
    load_image,
    resize_image,
    resize_mask,
)
from rdad.data.samples import is_image_name

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
GREY = PIXELS[..., 0]


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> np.ndarray:
    image = load_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def mask_of(values: np.ndarray) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(values).save(content, "png")
    return np.asarray(decode_mask(content.getvalue(), Path("mask.png")))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "ein Bild ü 画.png"])
def test_lossless_rgb_is_read_as_written(tmp_path: Path, name: str) -> None:
    assert (pixels(saved(tmp_path, Image.fromarray(PIXELS), name)) == PIXELS).all()


def test_lossless_webp_is_read_as_written(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(PIXELS), "a.webp", lossless=True)
    assert (pixels(path) == PIXELS).all()


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(PIXELS), "a.jpeg", quality=90)
    assert (pixels(path) == np.asarray(Image.open(path))).all()


def test_grey_gives_three_equal_channels(tmp_path: Path) -> None:
    read = pixels(saved(tmp_path, Image.fromarray(GREY), "a.png"))
    assert (read == GREY[..., None]).all()


def test_black_and_white_gives_0_and_255(tmp_path: Path) -> None:
    read = pixels(saved(tmp_path, Image.fromarray(GREY > 127), "a.png"))
    assert (read[..., 0] == np.where(GREY > 127, 255, 0)).all()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_keeps_its_high_byte(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 255, 256], [4095, 32768, 65535]], np.uint16)
    read = pixels(saved(tmp_path, Image.fromarray(values), name))
    assert read[..., 1].tolist() == [[0, 0, 1], [15, 128, 255]]


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS).quantize(16)
    read = pixels(saved(tmp_path, image, "a.png"))
    assert (read == np.asarray(image.convert("RGB"))).all()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    assert pixels(saved(tmp_path, image, "a.tif"))[0, 0].tolist() == [255, 0, 0]


def test_what_is_transparent_is_black_whatever_colour_it_hides(tmp_path: Path) -> None:
    rgba = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])
    rgba[0, 0, 3], rgba[0, 1] = 0, (200, 100, 0, 128)
    read = pixels(saved(tmp_path, Image.fromarray(rgba), "a.png"))
    assert read[0, 0].tolist() == [0, 0, 0]
    assert abs(read[0, 1].astype(int) - [100, 50, 0]).max() <= 1
    assert (read[1:] == PIXELS[1:]).all()


def test_a_transparent_palette_colour_is_black(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    read = pixels(saved(tmp_path, image, "a.png", transparency=0))
    assert read.tolist() == [[[0, 0, 0], [40, 50, 60]]]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = saved(tmp_path, Image.fromarray(PIXELS), "a.png", exif=exif)
    assert (pixels(path) == np.rot90(PIXELS, -1)).all()


def test_the_first_page_of_several_is_read(tmp_path: Path) -> None:
    pages = [Image.new("L", (3, 2), level) for level in (10, 200)]
    path = saved(tmp_path, pages[0], "a.tif", save_all=True, append_images=pages[1:])
    assert (pixels(path) == 10).all()


def many_scans(folder: Path, count: int) -> bytes:
    """A progressive JPEG whose scans are written again, some times each."""
    plain = saved(folder, Image.new("RGB", (16, 16), "red"), "a.jpg", progressive=True).read_bytes()
    start, own = plain.index(b"\xff\xda"), plain.count(b"\xff\xda")
    return plain[:start] + plain[start:-2] * (count // own) + plain[-2:]


def broken(folder: Path) -> dict[str, Path]:
    """Files that cannot be used, by the reason that must be given."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 90, 3), np.uint8))
    whole = saved(folder, noise, "whole.png").read_bytes()
    jpeg = saved(folder, noise, "whole.jpg").read_bytes()
    contents = {
        "empty file": b"",
        "not an image that Pillow can read": b"this is a text file",
        "damaged or unsupported": whole[: len(whole) // 2],
        "damaged or unsupported (image file is truncated": jpeg[: len(jpeg) // 2],
        "damaged or unsupported (": whole[:9000] + bytes(20) + whole[9020:],
        "a JPEG of 4000 scans; allowed are 500": many_scans(folder, 4000),
        "EPS is a program": saved(folder, noise, "a.eps").read_bytes(),
    }
    found = {"missing": folder / "nowhere.png", "a folder": folder / "folder.png"}
    found["cannot be read (embedded null byte)"] = folder / "a\0.png"
    found["a folder"].mkdir()
    for index, (reason, content) in enumerate(contents.items()):
        found[reason] = folder / f"broken{index}.png"
        found[reason].write_bytes(content)
    found["floating point"] = saved(folder, Image.fromarray(GREY.astype(np.float32)), "f.tif")
    return found


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    for reason, path in broken(tmp_path).items():
        with pytest.raises(DataError) as caught:
            load_image(path)
        assert caught.value.problems[0].startswith(f"{path}: ")
        assert reason in caught.value.problems[0]


@pytest.mark.parametrize(("target", "kind"), [("pipe", "a named pipe"), ("/dev/zero", "a device")])
def test_what_is_no_regular_file_is_refused_before_it_is_read(
    target: str, kind: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.png").symlink_to(tmp_path / target)
    with pytest.raises(DataError, match=f"a.png: {kind}, not a file"):
        load_image(tmp_path / "a.png")


def test_an_image_too_large_to_open_safely_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, Image.new("L", (100, 100)), "a.png")
    monkeypatch.setattr("rdad.data.limit.DEFAULT_LIMIT", 9999)
    with pytest.raises(DataError, match="too many pixels to open safely"):
        load_image(path)


def test_the_limit_of_pixels_can_be_set_also_above_pillows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, Image.new("L", (100, 100)), "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    monkeypatch.setenv("RDAD_MAX_PIXELS", "9999")
    with pytest.raises(DataError, match=r"10,000; allowed: 9,999; .* RDAD_MAX_PIXELS=10000 allows"):
        load_image(path)
    monkeypatch.setenv("RDAD_MAX_PIXELS", "10000")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own
        assert load_image(path).size == (100, 100)
    monkeypatch.setenv("RDAD_MAX_PIXELS", "1e9")
    with pytest.raises(ValueError, match="RDAD_MAX_PIXELS=1e9; allowed: a whole number, 1 or more"):
        load_image(path)


def test_a_file_larger_than_any_allowed_image_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(8 * 10**12)  # takes no room on the disk, and none in memory
    said = (
        r"a.tif: 8,000,000,000,000 bytes, more than .* 100,000,000 pixels .*=1000000000000 allows"
    )
    with pytest.raises(DataError, match=said):
        load_image(tmp_path / "a.tif")
    monkeypatch.setenv("RDAD_MAX_PIXELS", "100")
    path = saved(tmp_path, Image.new("L", (10, 10)), "b.tif", compression=None)
    path.write_bytes(path.read_bytes() + bytes(10**6))
    assert load_image(path).size == (10, 10)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_the_bands_of_a_transparent_image_are_the_whole(tmp_path: Path, mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (150, 20, 4), np.uint8)
    alike = {"P": 3, "L": 9, "RGB": tuple(values[0, 0, :3].tolist())}
    options = {"transparency": alike[mode]} if mode in alike else {}
    path = saved(tmp_path, Image.fromarray(values).convert(mode), "a.png", **options)
    whole = Image.open(path).convert("RGBA")
    black = Image.new("RGBA", whole.size, (0, 0, 0, 255))
    expected = Image.alpha_composite(black, whole).convert("RGB")
    assert (np.asarray(load_image(path)) == np.asarray(expected)).all()


@pytest.mark.parametrize("rows", [1, 20, 38, 39])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_whose_pixels_end_early_is_damaged_and_one_that_is_black_is_not(
    tmp_path: Path, rows: int, interlaced: int
) -> None:
    """Grey, 40 rows of 20; the seven passes of an interlaced one have 800 pixels in 75 lines."""
    said = "image file is truncated" if interlaced else f"its pixels end early: {rows * 21} of 840"
    whole = 800 + (75 if interlaced else 40)

    def chunk(kind: bytes, content: bytes) -> bytes:
        framed = struct.pack(">I", len(content)) + kind + content
        return framed + struct.pack(">I", zlib.crc32(kind + content))

    def load(held: bytes) -> Image.Image:
        head = struct.pack(">IIBBBBB", 20, 40, 8, 0, 0, 0, interlaced)
        parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(held)), chunk(b"IEND", b""))
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
        return load_image(tmp_path / "a.png")

    assert not np.asarray(load(bytes(whole))).any()
    with pytest.raises(DataError, match=said):
        load(bytes([0, 9, *bytes(rows * 21 - 2)]))


@pytest.mark.parametrize("found", [None, b"bytes", [1], np.float32(1)])
def test_what_is_no_image_is_named_by_its_type(found: Any) -> None:
    said = f"a Pillow image, or a uint8 array; found {type(found).__name__}"
    with pytest.raises(TypeError, match=said):
        as_rgb(found)


@pytest.mark.parametrize("high", [1, 5, 127, 128, 255])
def test_masks_of_0_and_any_other_value_mark_the_same_pixels(high: int) -> None:
    marked = GREY > 100
    assert ((mask_of(np.where(marked, high, 0).astype(np.uint8)) > 127) == marked).all()


@pytest.mark.parametrize("high", [1, 255, 65535])
def test_16_bit_masks_mark_the_same_pixels(high: int) -> None:
    marked = GREY > 100
    assert ((mask_of(np.where(marked, high, 0).astype(np.uint16)) > 127) == marked).all()


def test_dim_values_beside_bright_ones_are_no_defect() -> None:
    assert mask_of(np.array([[0, 90, 255]], np.uint8)).tolist() == [[0, 90, 255]]


def test_classes_of_a_mask_are_defect_whatever_else_is_in_the_file() -> None:
    """Red beside yellow, 80 beside 240, ids 1 and 2 beside 300."""
    colours = np.zeros((20, 20, 3), np.uint8)
    colours[:8, :8], colours[8:10, :8] = (255, 0, 0), (255, 255, 0)
    greys = np.zeros((20, 20), np.uint8)
    greys[:8, :8], greys[8:10, :8] = 80, 240
    ids = np.zeros((20, 20), np.uint16)
    ids[:4, :8], ids[4:8, :8], ids[8:10, :8] = 1, 2, 300
    for values in (colours, greys, ids):
        assert ((mask_of(values) > 127) == (greys > 0)).all()


def test_a_dim_class_beside_white_is_defect() -> None:
    values = np.zeros((20, 20), np.uint8)
    values[:8, :8], values[8:10, :8] = 80, 255
    assert ((mask_of(values) > 127) == (values > 0)).all()


@pytest.mark.parametrize("mode", ["palette", "alpha", "black under alpha"])
def test_palettes_and_alpha_mark_what_is_not_background(mode: str, tmp_path: Path) -> None:
    marked = np.zeros((8, 9), np.uint8)
    marked[:4, :4], marked[5:, :2] = 1, 2
    if mode == "palette":
        image = Image.fromarray(marked, "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 255, 255, 0])
    else:
        rgba = np.zeros((8, 9, 4), np.uint8)
        rgba[..., 3] = np.where(marked > 0, 120, 0)
        rgba[..., :3] = 255 if mode == "alpha" else 0
        image = Image.fromarray(rgba)
    path = saved(tmp_path, image, "a.png")
    assert ((np.asarray(decode_mask(path.read_bytes(), path)) > 127) == (marked > 0)).all()


def test_a_mask_of_colours_is_read_in_bands_that_are_few_bytes_a_pixel() -> None:
    values = np.zeros((1000, 1000, 3), np.uint8)
    values[10:20], values[500:510, :, 0], values[990:, 7:] = 9, 255, (0, 0, 1)
    content = io.BytesIO()
    Image.fromarray(values).save(content, "png")
    tracemalloc.start()
    grey, classes, _ = decode_classes(content.getvalue(), Path("mask.png"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ((np.asarray(grey) > 127) == values.any(axis=2)).all()
    assert classes == 3
    assert peak < 5 * 1000 * 1000


@pytest.mark.parametrize("size", [(64, 64), (61, 47), (160, 200)])
@pytest.mark.parametrize("filter_name", ["BILINEAR", "BICUBIC", "LANCZOS"])
@pytest.mark.parametrize("shape", ["square", "disc"])
def test_soft_edges_of_a_resized_mask_are_cut_at_half(
    size: tuple[int, int], filter_name: str, shape: str
) -> None:
    rows, columns = np.mgrid[:128, :128]
    inside = (abs(rows - 40) < 25) & (abs(columns - 60) < 25)
    if shape == "disc":
        inside = (rows - 70) ** 2 + (columns - 60) ** 2 < 600
    hard = Image.fromarray(np.where(inside, 255, 0).astype(np.uint8))
    soft = np.asarray(hard.resize(size, Image.Resampling[filter_name]))
    assert ((mask_of(soft) > 127) == (soft > 127)).all()


def test_the_noise_of_jpeg_beside_an_outline_is_no_defect(tmp_path: Path) -> None:
    hard = np.zeros((64, 64), np.uint8)
    hard[11:30, 13:45] = 255
    path = saved(tmp_path, Image.fromarray(hard), "a.jpg", quality=50)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert ((np.asarray(decode_mask(path.read_bytes(), path)) > 127) == (hard > 127)).all()


@pytest.mark.parametrize("name", ["a.pgm", "a.ppm", "a.gif", "a.jp2", "a.jfif"])
def test_rarer_formats_that_pillow_reads_are_images(tmp_path: Path, name: str) -> None:
    level = Image.new("RGB" if name != "a.pgm" else "L", (6, 5), 80 if name == "a.pgm" else "gray")
    read = pixels(saved(tmp_path, level, name))
    assert is_image_name(tmp_path / name)
    assert abs(read[..., 0].astype(int) - np.asarray(level.convert("L"))).max() <= 2


def test_images_are_resized_by_pillows_bilinear_filter_to_height_and_width() -> None:
    image = Image.fromarray(PIXELS)
    resized = resize_image(image, (5, 12))
    assert resized.shape == (5, 12, 3)
    by_pillow = np.asarray(image.resize((12, 5), Image.Resampling.BILINEAR)).astype(int)
    assert abs(resized - by_pillow).max() <= 1  # the order of its passes varies


def test_the_order_of_resizing_does_not_depend_on_the_images_shape() -> None:
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 256, (289, 24), np.uint8))
    across = tall.resize((32, 289), Image.Resampling.BILINEAR)
    down = across.resize((32, 64), Image.Resampling.BILINEAR)
    assert (resize_image(tall, (64, 32)) == np.asarray(down)).all()


def test_a_resized_mask_marks_what_is_covered_by_more_than_half() -> None:
    mask = Image.fromarray(np.array([[255, 255, 0, 0, 0, 0, 255, 255]] * 2, np.uint8))
    assert resize_mask(mask, (2, 8)).tolist() == [[True, True] + [False] * 4 + [True, True]] * 2
    assert resize_mask(mask, (1, 4)).tolist() == [[True, False, False, True]]


def test_a_resized_mask_is_the_authors_threshold_on_floats() -> None:
    mask = Image.fromarray(np.where(GREY > 100, 255, 0).astype(np.uint8))
    floats = np.asarray(mask.resize((4, 5), Image.Resampling.BILINEAR), np.float32) / 255
    assert (resize_mask(mask, (5, 4)) == (floats > 0.5)).all()


def test_a_data_error_lists_twenty_problems_and_counts_the_rest() -> None:
    error = DataError([f"{index}.png: missing" for index in range(25)])
    assert "25 files that cannot be used" in str(error)
    assert "19.png" in str(error)
    assert "20.png" not in str(error)
    assert "and 5 more" in str(error)
    assert len(error.problems) == 25


def test_a_data_error_survives_a_process_border() -> None:
    error = DataError(["a.png: missing", "b.png: missing"])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_an_image_that_memory_does_not_hold_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, Image.new("L", (10, 10)), "a.png")

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(DataError, match=r"a\.png: there is not the memory to open it"):
        load_image(path)

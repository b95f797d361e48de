"""The check of all files, and the cache of decoded images."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdad.data.decoded import decode
from rdad.data.images import DataError, load_image
from rdad.data.layouts import read_mvtec_ad
from rdad.data.samples import Sample

SIZE = (8, 6)
Write = Callable[..., Path]


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def nut(mvtec_root: Path) -> tuple[Sample, ...]:
    """7 samples: 2 bent, 2 good, 3 scratch."""
    return read_mvtec_ad(mvtec_root, "nut").test


def entry(cache_dir: Path) -> Path:
    (path,) = (cache_dir / "decoded").glob("*.arrays")
    return path


def test_pixels_are_those_of_a_plain_loop_over_the_files(
    nut: tuple[Sample, ...], cache_dir: Path
) -> None:
    decoded = decode(nut, SIZE, cache_dir)
    assert decoded.images.shape == (7, 8, 6, 3)
    assert decoded.masks.shape == (7, 8, 6)
    for index, sample in enumerate(nut):
        image = Image.open(sample.image).resize((6, 8), Image.Resampling.BILINEAR)
        assert (decoded.images[index] == np.asarray(image)).all()
        marked = np.zeros((8, 6), bool)
        if sample.mask:
            mask = Image.open(sample.mask).resize((6, 8), Image.Resampling.BILINEAR)
            marked = np.asarray(mask) > 127.5
        assert (decoded.masks[index] == marked).all()


def test_sizes_are_those_of_the_files_as_height_and_width(
    write_image: Write, cache_dir: Path
) -> None:
    paths = [write_image("a.png", size=(30, 4)), write_image("b.png", size=(5, 70))]
    samples = [Sample(path, 0, "good", None, path.stem) for path in paths]
    assert decode(samples, SIZE, cache_dir).sizes == ((30, 4), (5, 70))


def test_the_second_call_decodes_nothing_and_gives_the_same(
    nut: tuple[Sample, ...], cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = decode(nut, SIZE, cache_dir)
    monkeypatch.setattr("rdad.data.decoded.decode_samples", None)
    second = decode(nut, SIZE, cache_dir)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.masks, second.masks)
    assert (first.sizes, first.digests) == (second.sizes, second.digests)
    assert isinstance(second.images, np.memmap)


def test_each_size_is_an_entry_of_its_own(nut: tuple[Sample, ...], cache_dir: Path) -> None:
    decode(nut, SIZE, cache_dir)
    assert decode(nut, (6, 8), cache_dir).images.shape == (7, 6, 8, 3)


def test_a_damaged_entry_is_made_anew(
    nut: tuple[Sample, ...], cache_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = np.array(decode(nut, SIZE, cache_dir).images)
    path = entry(cache_dir)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert np.array_equal(decode(nut, SIZE, cache_dir).images, first)
    assert "damaged" in caplog.text
    caplog.clear()
    decode(nut, SIZE, cache_dir)
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("part", ["image", "mask"])
def test_a_changed_file_is_decoded_anew(
    nut: tuple[Sample, ...], cache_dir: Path, part: str
) -> None:
    before = decode(nut, SIZE, cache_dir)
    path = getattr(nut[0], part)
    pixels = np.array(Image.open(path))
    pixels[...] = 255 - pixels
    Image.fromarray(pixels).save(path)
    after = decode(nut, SIZE, cache_dir)
    changed = getattr(after, f"{part}s")[0] != getattr(before, f"{part}s")[0]
    assert changed.mean() > 0.5
    assert np.array_equal(after.images[1:], before.images[1:])
    assert (after.digests != before.digests) == (part == "image")


def test_a_file_that_changes_between_check_and_decoding_is_reported(
    nut: tuple[Sample, ...], cache_dir: Path
) -> None:
    from rdad.data.decoding import decode_samples, digest_files

    digests = digest_files(nut)
    Image.new("RGB", (10, 12)).save(nut[3].image)
    with pytest.raises(DataError, match="changed while it was being read"):
        list(decode_samples(nut, digests, SIZE))


def test_pixels_cannot_be_written(nut: tuple[Sample, ...], cache_dir: Path) -> None:
    decoded = decode(nut, SIZE, cache_dir)
    for array in (decoded.images, decoded.masks):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("reason", ["no folder can be made", "too small a limit"])
def test_without_a_cache_the_pixels_stay_with_the_process_and_a_warning_says_so(
    nut: tuple[Sample, ...],
    cache_dir: Path,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = decode(nut, SIZE, cache_dir / "good")
    limit_bytes = 100 if reason == "too small a limit" else 10**9
    if reason == "no folder can be made":
        (cache_dir / "bad").write_text("a file in the place of the folder")
    decoded = decode(nut, SIZE, cache_dir / "bad", limit_bytes=limit_bytes)
    assert np.array_equal(decoded.images, expected.images)
    assert np.array_equal(decoded.masks, expected.masks)
    assert "stay with this process" in caplog.text


def test_every_problem_is_listed_at_once(
    mvtec_root: Path, write_image: Write, write_mask: Write, cache_dir: Path
) -> None:
    write_image("nut/test/bent/big.png", size=(30, 20))
    write_mask("nut/ground_truth/bent/big_mask.png", size=(20, 30))
    write_image("nut/test/bent/lonely.png")
    write_image("nut/test/bent/clean.png")
    write_mask("nut/ground_truth/bent/clean_mask.png", value=0)
    write_mask("nut/ground_truth/good/001_mask.png")
    (mvtec_root / "nut/test/good/text.png").write_text("no image")
    (mvtec_root / "nut/test/good/empty.jpg").touch()
    (mvtec_root / "nut/test/good/x.png").mkdir()
    whole = write_image("nut/test/good/cut.png", size=(90, 90))
    whole.write_bytes(whole.read_bytes()[:9000])
    (mvtec_root / "nut/test/good/gone.png").symlink_to(mvtec_root / "nowhere.png")
    with pytest.raises(DataError) as caught:
        decode(read_mvtec_ad(mvtec_root, "nut").test, SIZE, cache_dir)
    expected = {
        "bent/big_mask.png": "30 x 20 pixels, but",
        "bent/lonely.png": "no mask for this defect (bent)",
        "bent/clean_mask.png": "empty mask",
        "good/001_mask.png": "is a normal image",
        "good/text.png": "not an image",
        "good/empty.jpg": "empty file",
        "good/x.png": "a folder",
        "good/cut.png": "damaged",
        "good/gone.png": "missing",
    }
    problems = caught.value.problems
    assert len(problems) == len(expected)
    for name, reason in expected.items():
        (problem,) = (one for one in problems if f"{name}: " in one)
        assert reason in problem
    assert "9 files" in str(caught.value)


def test_defects_without_any_mask_are_no_problem(mvtec_root: Path, cache_dir: Path) -> None:
    (mvtec_root / "nut/ground_truth").rename(mvtec_root / "elsewhere")
    decoded = decode(read_mvtec_ad(mvtec_root, "nut").test, SIZE, cache_dir)
    assert not decoded.masks.any()


def test_defects_lost_by_resizing_are_warned_of(
    write_image: Write, tmp_path: Path, cache_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = write_image("a.png", size=(400, 400))
    pixels = np.zeros((400, 400), np.uint8)
    pixels[5, 5] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    decode([Sample(image, 1, "dot", tmp_path / "mask.png", "a")], SIZE, cache_dir)
    assert "1 of 1 masks mark no pixel at 8 x 6" in caplog.text


@pytest.mark.parametrize("size", [SIZE, None])
def test_masks_in_doubt_are_said_once_with_a_count_also_from_the_cache(
    write_image: Write,
    write_mask: Write,
    tmp_path: Path,
    cache_dir: Path,
    caplog: pytest.LogCaptureFixture,
    size: tuple[int, int] | None,
) -> None:
    samples = []
    for index in range(4):
        image = write_image(f"{index}.png")
        samples.append(Sample(image, 1, "dot", write_mask(f"m/{index}.png"), image.stem))
    for name in ("1", "2"):
        values = np.array(Image.open(tmp_path / f"m/{name}.png"))
        values[9:, :] = 80
        Image.fromarray(values).save(tmp_path / f"m/{name}.png")
    Image.fromarray(np.full((12, 10), 255, np.uint8)).save(tmp_path / "m/3.png")
    for _ in range(2):
        caplog.clear()
        masks = decode(samples, size, cache_dir).masks
        assert masks[1][-1].all()
        assert "2 of 4 masks have several levels, as" in caplog.text
        assert "1 of 4 masks mark more than half of their image, as" in caplog.text
        assert len(caplog.records) == 2


def test_two_processes_that_need_the_same_images_decode_them_once(
    mvtec_root: Path, cache_dir: Path
) -> None:
    code = (
        "import logging, sys, time; from pathlib import Path; import rdad.data.decoded as decoded\n"
        "from rdad.data.layouts import read_mvtec_ad\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "make = decoded.decode_samples\n"
        "decoded.decode_samples = lambda *a: (time.sleep(2), make(*a))[1]  # long enough to meet\n"
        "samples = read_mvtec_ad(sys.argv[1], 'nut').test\n"
        "print(decoded.decode(samples, (8, 6), Path(sys.argv[2])).images.sum())\n"
    )
    command = [sys.executable, "-c", code, str(mvtec_root), str(cache_dir)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert outputs[0][0] == outputs[1][0] != ""
    assert sum("images decoded in" in errors for _, errors in outputs) == 1


def test_real_images_are_decoded_as_pillow_reads_them(
    assets: Path, cache_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    test = read_mvtec_ad(assets / "data" / "mvtec_ad", "toothbrush").test[::8]
    decoded = decode(test, (64, 96), cache_dir)
    assert set(decoded.sizes) == {(1024, 1024)}
    resized = load_image(test[2].image).resize((96, 64), Image.Resampling.BILINEAR)
    assert np.array_equal(decoded.images[2], np.asarray(resized))
    marked = decoded.masks.any(axis=(1, 2)).tolist()
    assert marked == [bool(sample.label) for sample in test]

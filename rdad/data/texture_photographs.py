"""The embedded data set: photographs that scikit-image ships, cut up, with defects drawn in.

Training images come from the left part of a photograph and test images from the right part, so
no pixel is seen in both. The layout on disk is that of MVTec AD.
"""

import hashlib
import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from rdad.data.layouts import read_mvtec_ad
from rdad.data.ranges import TEXTURES
from rdad.data.samples import GOOD, Samples
from rdad.data.store import default_cache_dir, lock
from rdad.data.texture_defects import Draw, Grey, Random, between, foreign, scratch, stain
from rdad.runs.names import expanded

log = logging.getLogger(__name__)

DEFECTS: dict[str, Draw] = {"foreign": foreign, "scratch": scratch, "stain": stain}
FOREIGN = {"brick": ("grass", "gravel"), "grass": ("brick",), "gravel": ("brick",)}  # told apart
BOLDNESS = {"brick": 1.0, "grass": 1.5, "gravel": 1.5}
VERSION = 2  # to be raised when any pixel changes
TRAIN_COLUMNS = (0, 312)
TEST_COLUMNS = (312, 512)
CROP_PX = 128
TRAIN_IMAGES = 72
GOOD_TEST_IMAGES = 20
IMAGES_A_DEFECT = 12
MANIFEST = "SHA256SUMS"


def read_textures(category: str, cache_dir: str | Path | None = None) -> Samples:
    """The samples of a category, written to the cache first where they are not in it yet."""
    folder = expanded(cache_dir or default_cache_dir()) / f"textures-{VERSION}"
    try:
        write_textures(category, folder)
    except OSError as error:
        log.warning("textures go to a temporary folder: cannot write %s (%s)", folder, error)
        folder = Path(_temporary_folder().name)
        write_textures(category, folder)
    return read_mvtec_ad(folder, category)


def write_textures(category: str, folder: Path) -> None:
    """Write `folder`/`category` in the layout of MVTec AD, unless it is there and undamaged.

    Its list of files is written last, so what was stopped on the way is written anew; of several
    processes one writes.

    Raises:
        OSError: the folder cannot be written.
    """
    place = folder / category
    if _is_whole(place):
        return
    with lock(folder / f".{category}.lock"):
        if not _is_whole(place):
            shutil.rmtree(place, ignore_errors=True)
            _write(category, place)


def _write(category: str, folder: Path) -> None:
    train, test = folder / "train" / GOOD, folder / "test"
    for index in range(TRAIN_IMAGES):
        _save(_cut(category, TRAIN_COLUMNS, _random(category, 0, index)), train, f"{index:03}")
    for index in range(GOOD_TEST_IMAGES):
        good = _cut(category, TEST_COLUMNS, _random(category, 1, index))
        _save(good, test / GOOD, f"{index:03}")
    for kind, name in enumerate(DEFECTS, start=2):
        for index in range(IMAGES_A_DEFECT):
            image, mask = _with_defect(category, name, _random(category, kind, index))
            _save(image, test / name, f"{index:03}")
            _save(mask, folder / "ground_truth" / name, f"{index:03}_mask")
    (folder / MANIFEST).write_text(_listed(folder))


def _with_defect(category: str, defect: str, random: Random) -> tuple[Grey, Grey]:
    image = _cut(category, TEST_COLUMNS, random)
    others = FOREIGN[category]
    other = _cut(others[int(between(random, 0, len(others)))], TEST_COLUMNS, random)
    drawn, mask = DEFECTS[defect](image, other, random, boldness=BOLDNESS[category])
    return drawn, np.where(mask, 255, 0).astype(np.uint8)


def _random(category: str, part: int, index: int) -> Random:
    """A stream of its own for each image, of the kind that NumPy keeps the same for ever."""
    return np.random.RandomState([TEXTURES.index(category), part, index])


@cache
def _photograph(category: str) -> Grey:
    """uint8 (512, 512)."""
    from skimage import data

    return getattr(data, category)()


def _cut(category: str, columns: tuple[int, int], random: Random) -> Grey:
    """A crop from these columns at twice its size, perhaps mirrored, its brightness varied."""
    photograph = _photograph(category)
    margin = 2
    top = int(between(random, margin, photograph.shape[0] - CROP_PX - margin + 1))
    left = int(between(random, columns[0] + margin, columns[1] - CROP_PX - margin + 1))
    crop = photograph[
        top - margin : top + CROP_PX + margin, left - margin : left + CROP_PX + margin
    ].astype(np.int64)
    twice = _twice(_twice(crop).T).T
    if random.random_sample() < 0.5:
        twice = twice[:, ::-1]
    gain = int(between(random, 243, 270))
    return np.clip((twice * gain + (1 << 21)) >> 22, 0, 255).astype(np.uint8)


def _twice(rows: np.ndarray) -> np.ndarray:
    """Cubic interpolation (a = -0.5) to twice the rows without the margin, times 128."""
    before = -3 * rows[:-3] + 29 * rows[1:-2] + 111 * rows[2:-1] - 9 * rows[3:]
    after = -9 * rows[:-3] + 111 * rows[1:-2] + 29 * rows[2:-1] - 3 * rows[3:]
    return np.stack([before[:-1], after[1:]], axis=1).reshape(-1, rows.shape[1])


def _save(image: Grey, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{name}.png")


def _is_whole(place: Path) -> bool:
    """Whether all files are there as they were written, and no others."""
    manifest = place / MANIFEST
    return manifest.is_file() and manifest.read_text() == _listed(place)


def _listed(place: Path) -> str:
    digests = {path: hashlib.sha256(path.read_bytes()) for path in sorted(place.rglob("*.png"))}
    lines = [f"{one.hexdigest()}  {path.relative_to(place)}\n" for path, one in digests.items()]
    return "".join(lines)


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """One a process, removed at its end."""
    return tempfile.TemporaryDirectory(prefix="rdad-")

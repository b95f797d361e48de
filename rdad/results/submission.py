"""A submission to the server of MVTec AD 2, which alone has the labels of its private tests.

anomaly_images/<category>/<split>/<stem>.tiff              raw float16, at the image's own size
anomaly_images_thresholded/<category>/<split>/<stem>.png   255 where a pixel is called, else 0
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from rdad.data.in_order import in_order
from rdad.data.samples import existing_folder, images_of
from rdad.runs.files import write_atomic
from rdad.runs.folder import LOCK_FILE

IMAGES = {  # that the server expects of each split
    **{"can": 321, "fabric": 314, "fruit_jelly": 255, "rice": 277},
    **{"sheet_metal": 142, "vial": 276, "wallplugs": 232, "walnuts": 228},
}
SPLITS = ("test_private", "test_private_mixed")
MAPS, CALLED = "anomaly_images", "anomaly_images_thresholded"
SUFFIXES = {MAPS: ".tiff", CALLED: ".png"}
GZIP_LEVEL = 6  # two thirds of what level 1 leaves, and no more than level 9

Expected = dict[Path, Path]
"""Files below the submission's folder, each with the image that it is of."""


def file_of(tree: str, category: str, split: str, stem: str) -> Path:
    """Where a file stands below the submission's folder, as MVTec's own script checks it.

    Some descriptions of the server put files one folder deeper; if they are right, it is changed
    here alone.
    """
    return Path(tree, category, split, f"{stem}{SUFFIXES[tree]}")


def private_images(root: str | Path, category: str) -> dict[str, list[Path]]:
    """By split, the images of a category.

    Raises:
        FileNotFoundError: there are none.
        ValueError: there are more or fewer than the server expects.
    """
    base, expected = existing_folder(existing_folder(root) / category), IMAGES[category]
    found = {split: images_of(base / split, expected=f"{split}/*.png") for split in SPLITS}
    for split, images in found.items():
        if len(images) != expected:
            raise ValueError(
                f"{len(images)} images in {base / split}; the server expects {expected}: is the "
                "data set unpacked whole, and nothing added?"
            )
    return found


def categories_in(folder: Path) -> list[str]:
    """Those of which the submission has anything."""
    return [one for one in IMAGES if any((folder / tree / one).exists() for tree in SUFFIXES)]


def superfluous(folder: Path, root: str | Path) -> list[Path]:
    """Files in the folder that the server does not expect, whatever its categories are."""
    known = {path for one in categories_in(folder) for path in _expected(root, one)}
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return [path for path in files if path not in known and path != Path(LOCK_FILE)]


def problems_of(folder: Path, root: str | Path) -> Iterator[str]:
    """What the server would refuse of the categories that are there; every file is read."""
    yield from (f"{path}: not expected" for path in superfluous(folder, root))
    for category in categories_in(folder):
        files = _expected(root, category).items()
        checked = in_order(lambda one: _problem(folder / one[0], one[1]), files)
        yield from filter(None, checked)


def pack(folder: Path) -> Path:
    """The submission as <folder>.tar.gz, in which all lies in a folder of its name."""
    archive = folder.with_name(f"{folder.name}.tar.gz")

    def write(draft: Path) -> None:
        with tarfile.open(draft, "w:gz", compresslevel=GZIP_LEVEL) as packed:
            for tree in SUFFIXES:
                for path in sorted((folder / tree).rglob("*.*")):
                    packed.add(path, Path(folder.name, path.relative_to(folder)), recursive=False)

    write_atomic(archive, write)
    return archive


def _expected(root: str | Path, category: str) -> Expected:
    return {
        file_of(tree, category, split, image.stem): image
        for split, images in private_images(root, category).items()
        for image in images
        for tree in SUFFIXES
    }


def _problem(path: Path, image: Path) -> str | None:
    import tifffile

    if not path.is_file():
        return f"{path}: missing"
    try:
        with Image.open(image) as opened:
            size = (opened.height, opened.width)
        is_map = path.suffix == SUFFIXES[MAPS]
        pixels = tifffile.imread(path) if is_map else np.asarray(Image.open(path))
    except Exception as error:  # damaged files raise nearly everything
        return f"{path}: cannot be read ({error})"
    wanted = np.dtype(np.float16 if is_map else np.uint8)
    if pixels.shape != size or pixels.dtype != wanted:
        found = f"{pixels.dtype} {pixels.shape}"
        return f"{path}: {found}; expected {wanted} {size}, the size of {image}"
    if is_map:
        return None if np.isfinite(pixels).all() else f"{path}: not finite"
    return None if np.isin(pixels, (0, 255)).all() else f"{path}: has other values than 0 and 255"

"""What lies in a folder: image files and subfolders, always sorted."""

import random
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

Folder = str | PathLike[str]


def existing_folder(path: Folder) -> Path:
    """`path` as a Path with ~ expanded. Raises FileNotFoundError if it is no folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"folder {folder} {found} (absolute: {folder.absolute()})")
    return folder


def folders_under(base: Path, folders: Folder | Sequence[Folder]) -> list[Path]:
    """One folder or several as existing paths, relative ones under `base`."""
    listed = [folders] if isinstance(folders, str | PathLike) else list(folders)
    return [existing_folder(base / Path(folder).expanduser()) for folder in listed]


def list_images(folder: Path) -> list[Path]:
    """Entries of `folder` named like images, sorted; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if is_image_name(path))


def images_of(folder: Path, *, expected: str = "image files in it") -> list[Path]:
    """As `list_images`, but FileNotFoundError where there is none."""
    images = list_images(existing_folder(folder))
    if images:
        return images
    deeper = [sub.name for sub in subfolders(folder) if list_images(sub)]
    hint = f" (but in its subfolders {', '.join(deeper)}: name those)" if deeper else ""
    raise FileNotFoundError(
        f"no images in {folder}{hint}; expected {expected}, ending in {', '.join(IMAGE_SUFFIXES)}"
    )


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted; hidden ones and those named like images are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and not is_image_name(path)
    )


def draw(total: int, *, part: float, seed: int) -> list[int]:
    """Sorted indices below `total`: a seeded part, at least one and never all of them.

    Only `random()` of a seeded Random is the same in every Python, so nothing else is used.
    """
    count = min(max(round(total * part), 1), total - 1) if part > 0 else 0
    generator = random.Random(seed)
    keys = [generator.random() for _ in range(total)]
    return sorted(sorted(range(total), key=keys.__getitem__)[: max(count, 0)])


def is_image_name(path: Path) -> bool:
    """Whether a name ends as image files do; hidden files are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")

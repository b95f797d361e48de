"""Folder trees -> lists of samples: one reader a format. No image is opened here."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from rdad.data.listed import listed_images
from rdad.data.samples import (
    GOOD,
    Folder,
    Sample,
    Samples,
    check_masks,
    draw,
    existing_folder,
    folders_below,
    folders_under,
    images_of,
    labelled,
    list_images,
    named,
    subfolders,
)
from rdad.data.unused import warn_of_masks, warn_of_unused, without_masks
from rdad.runs.files import resolved
from rdad.runs.names import on_disk

log = logging.getLogger(__name__)


def read_mvtec_ad(root: Folder, category: str) -> Samples:
    """The layout of MVTec AD: `<category>/{train/good, test/<type>, ground_truth/<type>}`.

    The mask of `test/<type>/<stem>.*` is `ground_truth/<type>/<stem>_mask.*` or `<stem>.*`.

    Raises:
        FileNotFoundError: the root or an expected folder is missing or holds no image.
        ValueError: there is no such category; the message lists those found.
    """
    base = category_folder(existing_folder(root), category)
    train, masks = base / "train", base / "ground_truth"
    good = without_masks(images_of(train / GOOD, expected=f"{category}/train/good/*.png"))
    kinds = subfolders(existing_folder(base / "test"))
    test = [
        sample
        for kind in kinds
        for sample in labelled(
            without_masks(list_images(kind)), kind.name, on_disk(masks / kind.name)
        )
    ]
    if not test:
        images_of(base / "test", expected=f"{category}/test/<defect type>/*.png")
    check_masks(test, [masks] if masks.is_dir() else [])
    read = [train, train / GOOD, base / "test", *kinds]
    warn_of_masks(read)
    warn_of_unused(read)
    return Samples(train=named(labelled(good, GOOD)), test=named(test))


def read_folder(
    root: Folder,
    normal: Folder | Sequence[Folder],
    normal_test: Folder | Sequence[Folder] | None = None,
    defects: Folder | Sequence[Folder] = (),
    masks: Folder | Sequence[Folder] = (),
    holdout: float = 0.2,
    split_seed: int = 0,
    recursive: bool = False,
) -> Samples:
    """A user's own folders, each relative to `root` or absolute.

    Args:
        normal: Folders of normal images; and files that list some, as `listed_images` reads them,
            which are trained on also where they lie among the test images.
        normal_test: Folders of normal test images; without them a part of `normal` is held out.
        defects: Folders of defects, named for their type. A folder that holds no images but
            subfolders stands for these; those of normal images, and `good`, are skipped.
        masks: None; or one folder with a subfolder for each defect type; or as many folders as
            `defects`, each with the masks (or such subfolders) of the folder at its place.
            The mask of `<stem>.*` is `<stem>_mask.*`, `<stem>.*`, or one of another of
            MASK_ENDINGS; they may lie beside the images.
        holdout: Part of the normal images to hold out, 0 <= holdout < 1.
        split_seed: Chooses which images are held out.
        recursive: Whether images in subfolders are taken, but for folders that are named
            themselves, and of defects for `good`. Masks lie in subfolders alike.

    Raises:
        FileNotFoundError: a folder is missing or holds no image, or no mask fits any defect.
        ValueError: values that do not fit together.
    """
    base = existing_folder(root)
    named_normal = folders_under(base, normal, or_files=True)
    normal_folders = [one for one in named_normal if one.is_dir()]
    lists = [one for one in named_normal if one.is_file()]
    listed = {resolved(image): image for one in lists for image in listed_images(one, base)}
    test_folders, defect_folders, mask_folders = (
        folders_under(base, None if one == "" else one) for one in (normal_test, defects, masks)
    )
    known = {resolved(folder) for folder in [*normal_folders, *test_folders]}
    if len(known) < len(normal_folders) + len(test_folders):
        raise ValueError(f"a folder stands twice in normal={normal}, normal_test={normal_test}")
    others = {resolved(folder) for folder in [*defect_folders, *mask_folders]}
    search = _Search(known | others, recursive=recursive)
    train = [image for folder in normal_folders for image in search.images(folder)]
    test = [image for folder in test_folders for image in search.images(folder)]
    if not (normal_folders or test_folders):
        train, listed = [*listed.values()], {}
    if not test_folders:
        held = set(draw(len(train), part=holdout, seed=split_seed))
        log.info("%d of %d normal images are held out for testing", len(held), len(train))
        test = [image for index, image in enumerate(train) if index in held]
        train = [image for index, image in enumerate(train) if index not in held]
    if listed:
        train, test = _trained_on(listed, train, test)
    defective = _defects(defect_folders, mask_folders, known, search)
    warn_of_masks(search.read)
    hint = "" if recursive else " (dataset.recursive=true takes images in subfolders)"
    warn_of_unused(search.read, mask_folders, hint=hint)
    return Samples(
        train=named(labelled(train, GOOD)), test=named([*labelled(test, GOOD), *defective])
    )


def _trained_on(
    listed: dict[Path, Path], train: list[Path], test: list[Path]
) -> tuple[list[Path], list[Path]]:
    """Training and test images with those that are listed, by their places, among the former."""
    known = {resolved(image) for image in train}
    more = [image for place, image in listed.items() if place not in known]
    kept = [image for image in test if resolved(image) not in listed]
    told = len(listed), len(listed) - len(more), len(test) - len(kept)
    log.info("%d images listed as normal: %d known, %d that are tested on no more", *told)
    return [*train, *more], kept


class _Search:
    """Where images are looked for: in a folder or, recursively, also below it.

    Args:
        named: Folders, resolved, that are named themselves and so are not entered from others.

    Attributes:
        read: All folders that images were taken from.
    """

    def __init__(self, named: Collection[Path], *, recursive: bool) -> None:
        self._named, self._recursive = named, recursive
        self.read: list[Path] = []

    def folders(self, folder: Path) -> list[Path]:
        return list(folders_below(folder, self._named)) if self._recursive else [folder]

    def images(self, folder: Path) -> list[Path]:
        """Raises FileNotFoundError where there is none."""
        folders = self.folders(folder)
        self.read += folders
        images = [image for one in folders for image in without_masks(list_images(one))]
        return images or images_of(folder)


def category_folder(
    root: Path,
    category: str,
    *,
    holding: str = "train",
    layout: str = "the MVTec AD layout <category>/train/good/*.png",
) -> Path:
    """The folder of a category: one of those in `root` that hold a folder or file `holding`.

    Raises:
        FileNotFoundError: there is no category at all.
        ValueError: there is no such category; the message lists those found.
    """
    found = [folder.name for folder in subfolders(root) if (folder / holding).exists()]
    folder = on_disk(root / category)
    if folder.name in found:
        return folder
    if found:
        raise ValueError(f"no category {category!r} in {root}; found: {', '.join(found)}")
    hint = f"; {root} is a category itself: name its parent" if (root / holding).exists() else ""
    raise FileNotFoundError(f"no category in {root}; expected {layout}{hint}")


def _defects(
    folders: list[Path], masks: list[Path], known_normal: set[Path], search: _Search
) -> list[Sample]:
    if len(masks) not in {0, 1, len(folders)}:
        raise ValueError(
            f"{len(masks)} mask folders for {len(folders)} defect folders; "
            "allowed: none, one, or as many as there are defect folders"
        )
    samples = []
    paired = len(masks) == len(folders)
    no_types = known_normal | {resolved(mask) for mask in masks}
    places = masks if paired else [next(iter(masks), None)] * len(folders)
    for folder, place in zip(folders, places, strict=True):
        if folder.name == GOOD or resolved(folder) in known_normal:
            raise ValueError(
                f"{folder} is given as defects, but its name or use says normal images"
            )
        search.read.append(folder)
        for kind in _types(folder, no_types, search):
            of_kind = place and on_disk(place / kind.name)
            if of_kind and not of_kind.is_dir():
                of_kind = place if paired and kind == folder else None
            samples += _of_kind(kind, of_kind, search)
    check_masks(samples, masks)
    return samples


def _of_kind(kind: Path, masks: Path | None, search: _Search) -> list[Sample]:
    """Of one defect type; the masks of a subfolder are in the same subfolder of `masks`."""
    samples = []
    for folder in search.folders(kind):
        below = folder.relative_to(kind)
        if GOOD not in below.parts:
            search.read.append(folder)
            images = without_masks(list_images(folder))
            samples += labelled(images, kind.name, masks and masks / below)
    return samples


def _types(folder: Path, others: set[Path], search: _Search) -> list[Path]:
    """The folders of one defect type each that `folder` stands for; none of `others`, resolved."""
    if list_images(folder):
        return [folder]
    inside = [sub for sub in subfolders(folder) if sub.name != GOOD]
    types = [
        sub
        for sub in inside
        if resolved(sub) not in others and any(map(list_images, search.folders(sub)))
    ]
    if not types:
        images_of(folder, expected="image files or a subfolder for each defect type")
    log.info("defect types in %s: %s", folder, ", ".join(kind.name for kind in types))
    return types

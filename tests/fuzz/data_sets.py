"""Folders of images in any layout, as `dataset=folder` and `dataset=mvtec_ad` may be pointed at."""

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from fuzz.box import SECRET
from fuzz.images import written
from fuzz.trials import REFUSED, RIGHT
from rdad import data
from rdad.config.build import prepared


def attempt(random: Random, folder: Path) -> str:
    for name in ("a/train/good", "a/test/good", "a/test/bad", "a/ground_truth/bad"):
        (folder / name).mkdir(parents=True)
        for number in range(random.choice([0, 1, 3, 5])):
            _put_image(random, folder / name, number)
    for _ in range(random.choice([0, 0, 1, 2])):
        _put_odd_entry(random, folder)
    loading: Any = {"image_size": [32, 32], "calibration": 0, "cache_dir": folder / "cache"}
    try:
        if random.random() < 0.5:
            images = data.mvtec_ad(folder, "a", **loading)
        else:
            chosen = [
                random.choice(["a/train/good", "a/test/bad", "a", "a/test", "x"]) for _ in range(3)
            ]
            folders: Any = dict(zip(("normal", "defects", "masks"), chosen, strict=True))
            images = data.folder(folder, **folders, **loading)
        prepared(images)
    except (OSError, ValueError) as error:
        said = str(error)
        assert said.strip() and SECRET not in said, said
        return REFUSED
    assert len(images.train_samples) >= 1
    assert {sample.label for sample in images.train_samples} == {0}
    return RIGHT


def _put_image(random: Random, folder: Path, number: int) -> None:
    name = f"{number}_mask" if folder.parent.name == "ground_truth" else str(number)
    if random.random() < 0.1:
        (folder / f"{name}.png").write_bytes(written(random).content)
        return
    values = np.zeros((40, 40), np.uint8)
    values[:9, : random.choice([1, 9, 30])] = 255
    Image.fromarray(values).save(folder / f"{name}.{random.choice(['png', 'bmp', 'jpg'])}")


def _put_odd_entry(random: Random, folder: Path) -> None:
    places = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
    name = random.choice(
        ["x.png", "0.PNG", ".x.png", "a\nb.png", "x", "good", "GOOD", "bad.png", "..x"]
    )
    name = random.choice(
        [name, os.fsdecode(b"\xff.png"), "n" * 250 + ".png", "0_mask.png", "Thumbs.db"]
    )
    path = random.choice(places) / name
    if os.path.lexists(path):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    match random.randrange(5):
        case 0:
            path.symlink_to(
                random.choice([path, path.parent, folder, Path("/dev/zero"), Path("/etc")])
            )
        case 1:
            path.mkdir()
        case 2:
            os.mkfifo(path)
        case 3:
            path.symlink_to(folder.parent / "outside" / "secret.txt")
        case _:
            path.write_bytes(written(random).content)

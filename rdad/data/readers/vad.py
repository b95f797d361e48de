"""VAD (Valeo): `{train, test}/{good, bad}`, labels of images alone."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.readers.trees import trained_on_good, unpacked
from rdad.data.samples import GOOD, Sample, Samples, images_of, labelled

BAD = "bad"


def vad(root: str | Path, category: str = "vad", **loading: Unpack[Public]) -> AnomalyDataModule:
    """VAD, a piezo with wires and solder: no masks; defects in its training folder are left out."""
    return public("vad", read_vad, root, category, loading)


def read_vad(root: Path, category: str) -> Samples:
    """`category` is a name for results; that `train/bad` was taken away does not matter."""
    place = unpacked(root, lambda folder: (folder / "train" / GOOD).is_dir())
    bad = place / "train" / BAD
    train = [*_of(place / "train" / GOOD), *(_of(bad) if bad.is_dir() else ())]
    return trained_on_good(train, [*_of(place / "test" / GOOD), *_of(place / "test" / BAD)])


def _of(folder: Path) -> list[Sample]:
    return labelled(images_of(folder), folder.name)

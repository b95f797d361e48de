"""VAD (Valeo): `{train, test}/{good, bad}`, labels of images alone."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.readers.trees import trained_on_good, unpacked
from rdad.data.samples import GOOD, Sample, Samples, images_of, labelled


def vad(root: str | Path, category: str = "vad", **loading: Unpack[Public]) -> AnomalyDataModule:
    """VAD, a piezo with wires and solder: no masks; defects in its training folder are left out."""
    return public("vad", read_vad, root, category, loading)


def read_vad(root: Path, category: str) -> Samples:
    """`category` is a name for results."""
    place = unpacked(root, lambda folder: (folder / "train" / GOOD).is_dir())
    return trained_on_good(*(_of(place / split) for split in ("train", "test")))


def _of(folder: Path) -> list[Sample]:
    return [one for kind in (GOOD, "bad") for one in labelled(images_of(folder / kind), kind)]

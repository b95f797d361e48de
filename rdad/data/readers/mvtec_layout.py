"""Data sets that others laid out as MVTec AD is: `<category>/{train/good, test/<type>, ...}`."""

from pathlib import Path
from typing import Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Public, public
from rdad.data.layouts import read_mvtec_ad
from rdad.data.readers.trees import unpacked_categories
from rdad.data.samples import Samples


def mpdd(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """MPDD, metal parts that are turned and moved: bracket_black, connector, tubes and so on."""
    return public("mpdd", read_mvtec_layout, root, category, loading)


def goodsad(root: str | Path, category: str, **loading: Unpack[Public]) -> AnomalyDataModule:
    """GoodsAD, goods of a shop: drink_bottle, food_box and so on; 3000 x 3000 pixels."""
    return public("goodsad", read_mvtec_layout, root, category, loading)


def read_mvtec_layout(root: Path, category: str) -> Samples:
    """As `rdad.data.layouts.read_mvtec_ad`, also from a folder inside `root`."""
    return read_mvtec_ad(unpacked_categories(root, "train"), category)

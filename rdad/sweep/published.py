"""Published figures of Reverse Distillation, from published.csv beside this file, in per cent."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

METRICS = (
    *(f"{scope}_{name}" for scope in ("image", "pixel") for name in ("auroc", "ap", "f1_max")),
    "aupro",
)
MEAN = "mean"
GROUPS = {"mvtec_ad": {"textures": ("carpet", "grid", "leather", "tile", "wood")}}
"""Of a data set's categories that papers also give the mean of, and of all others."""
OTHERS = "objects"


@dataclass(frozen=True)
class Published:
    """What is known of one data set in one setting.

    Attributes:
        figures: By category, or `mean` for that over all, then by metric.
        sources: Where they stand, in the order of their use.
    """

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


def published(dataset: str, setting: str, *, aupro: str, fpr_limit: float) -> Published:
    """Of several figures of the same the first of the file.

    Args:
        setting: `one_class`, a network a category; `joint`, one network for all.
        aupro: Its definition, `dataset` or `per_image`; figures of another one are left out.
        fpr_limit: AUPRO's limit, as for its definition.
    """
    figures: dict[str, dict[str, float]] = {}
    sources: dict[str, None] = {}
    for row in _rows():
        if (row["dataset"], row["setting"]) != (dataset, setting):
            continue
        same = row["aupro_definition"] == aupro and float(row["fpr_limit"]) == fpr_limit
        known = figures.setdefault(row["category"], {})
        for metric in METRICS:
            if row[metric] and metric not in known and (same or metric != "aupro"):
                known[metric] = float(row[metric])
                sources[row["source"]] = None
    return Published(figures, tuple(sources))


def groups(dataset: str, categories: Sequence[str]) -> dict[str, list[str]]:
    """The groups of a data set that papers give means of; none where they do not."""
    named = GROUPS.get(dataset, {})
    taken = {category for members in named.values() for category in members}
    rest = [category for category in categories if category not in taken]
    found = {name: [one for one in categories if one in named[name]] for name in named}
    return found | ({OTHERS: rest} if named else {})


def known_datasets() -> list[str]:
    """Those of which there are any figures."""
    return sorted({row["dataset"] for row in _rows()})


def _rows() -> Iterator[dict[str, str]]:
    text = (files("rdad.sweep") / "published.csv").read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())

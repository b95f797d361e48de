"""`dataset.category=all`: the categories that are under the root, found before a run or sweep."""

import re
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from rdad.config.compose import load_config
from rdad.config.mistakes import ConfigError
from rdad.config.spelling import quoted
from rdad.data.ranges import TEXTURES
from rdad.data.readers.published import PUBLISHED
from rdad.data.samples import existing_folder, subfolders
from rdad.runs.names import expanded

KEY, ALL = "dataset.category", "all"
SWEEPS = ("sweep=benchmark", "sweep=categories")
JOINT = ("dataset.joint=true", "experiment=joint")  # all categories as one
OF_DATASET = re.compile(r"dataset(\.(root|file|download))?=.*|experiment=[^,]*")
"""What says where categories are; an experiment may name a data set."""

OF_CATEGORY = ("train", "Train", "OK")  # folders that a category has


def with_categories(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the names of all categories where all are asked for.

    They are by `dataset.category=all`, and by a sweep over categories, or one network for all of
    them, that names none. For one network they are a list, else a sweep's values.

    Raises:
        ConfigError: there is none, or it cannot be known for this data set.
        FileNotFoundError: there is no such root.
    """
    given = [one for one in arguments if one.startswith(f"{KEY}=")]
    lowered = {one.lower() for one in arguments}  # Hydra takes True as well
    joint = not lowered.isdisjoint(JOINT) and "dataset.joint=false" not in lowered
    unnamed = not given and (joint or any(one in SWEEPS for one in arguments))
    if not unnamed and f"{KEY}={ALL}" not in given:
        return list(arguments)
    of_dataset = [one for one in arguments if OF_DATASET.fullmatch(one)]
    node = load_config(*of_dataset, f"{KEY}={ALL}").dataset
    names = ",".join(quoted(name) if not name.isidentifier() else name for name in categories(node))
    asked = f"[{names}]" if joint else names
    return [*(one for one in arguments if one not in given), f"{KEY}={asked}"]


def categories(dataset: DictConfig) -> list[str]:
    """Those of a data set's node whose folders are there: published ones first, in their order.

    Where the root is yet to be downloaded, all that are published.

    Raises:
        ConfigError, FileNotFoundError: as `with_categories`.
        ValueError: a table cannot be read, or names none.
    """
    name = dataset._target_.rpartition(".")[2]
    if name == "textures":
        return list(TEXTURES)
    if name == "table":
        if OmegaConf.is_missing(dataset, "file"):
            raise ConfigError("dataset.file must be given, as in dataset.file=…")
        from rdad.data.readers.table import categories_of

        return categories_of(expanded(dataset.file))
    if OmegaConf.is_missing(dataset, "root"):
        raise ConfigError("dataset.root must be given, as in dataset.root=…")
    if "root" not in dataset or name == "folder":
        raise ConfigError(f"{KEY}={ALL}: {name} has no folders of categories; name them: {KEY}=a,b")
    if dataset.get("download") and name in PUBLISHED and not expanded(dataset.root).exists():
        return list(PUBLISHED[name])
    root = existing_folder(dataset.root)
    for place in [root, *subfolders(root)]:  # archives often hold one folder that holds all
        inside = subfolders(place)
        known = [one for one in PUBLISHED.get(name, {}) if one in {sub.name for sub in inside}]
        own = [sub.name for sub in inside if any((sub / mark).is_dir() for mark in OF_CATEGORY)]
        if known or own:
            return list(dict.fromkeys([*known, *own]))
    raise ConfigError(f"{KEY}={ALL}: no category of {name} in {root}; name them: {KEY}=a,b")

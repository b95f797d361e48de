"""`dataset.category=all`: the categories that are under the root, found before a run or sweep."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rdad.config.compose import ConfigError, load_config
from rdad.config.spelling import quoted
from rdad.data.readers.published import PUBLISHED
from rdad.data.samples import existing_folder, subfolders

KEY, ALL = "dataset.category", "all"
SWEEPS = ("sweep=benchmark", "sweep=categories")
JOINT = ("dataset.joint=true", "experiment=joint")  # all categories as one
OF_CATEGORY = ("train", "OK")  # folders that a category has


def with_categories(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the names of all categories where all are asked for.

    They are by `dataset.category=all`, and by a sweep over categories, or one network for all of
    them, that names none. For one network they are a list, else a sweep's values.

    Raises:
        ConfigError: there is none, or it cannot be known for this data set.
        FileNotFoundError: there is no such root.
    """
    given = [one for one in arguments if one.startswith(f"{KEY}=")]
    joint = any(one in JOINT for one in arguments) and "dataset.joint=false" not in arguments
    unnamed = not given and (joint or any(one in SWEEPS for one in arguments))
    if not unnamed and f"{KEY}={ALL}" not in given:
        return list(arguments)
    of_dataset = [
        one for one in arguments if one.startswith(("dataset=", "dataset.")) and one not in given
    ]
    node = load_config(*of_dataset, f"{KEY}={ALL}").dataset
    names = ",".join(quoted(name) if not name.isidentifier() else name for name in categories(node))
    asked = f"[{names}]" if joint else names
    return [*(one for one in arguments if one not in given), f"{KEY}={asked}"]


def categories(dataset: DictConfig) -> list[str]:
    """Those of a data set's node whose folders are there: published ones first, in their order.

    Raises:
        ConfigError, FileNotFoundError: as `with_categories`.
        ValueError: a table cannot be read, or names none.
    """
    name = dataset._target_.rpartition(".")[2]
    if name == "textures":
        from rdad.data.texture_photographs import CATEGORIES

        return list(CATEGORIES)
    if name == "table":
        if OmegaConf.is_missing(dataset, "file"):
            raise ConfigError("dataset.file must be given, as in dataset.file=…")
        from rdad.data.readers.table import categories_of

        return categories_of(Path(dataset.file).expanduser())
    if "root" not in dataset or name == "folder":
        raise ConfigError(f"{KEY}={ALL}: {name} has no folders of categories; name them: {KEY}=a,b")
    root = existing_folder(dataset.root)
    for place in [root, *subfolders(root)]:  # archives often hold one folder that holds all
        inside = subfolders(place)
        known = [one for one in PUBLISHED.get(name, {}) if one in {sub.name for sub in inside}]
        own = [sub.name for sub in inside if any((sub / mark).is_dir() for mark in OF_CATEGORY)]
        if known or own:
            return list(dict.fromkeys([*known, *own]))
    raise ConfigError(f"{KEY}={ALL}: no category of {name} in {root}; name them: {KEY}=a,b")

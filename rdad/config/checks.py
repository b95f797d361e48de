"""Configurations, checked by all that can be known before anything slow is imported."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.mistakes import ConfigError, hint
from rdad.config.schema import DATASETS, DatasetConfig, JudgingConfig, TrainConfig, of_joint
from rdad.data.joint import check_joint
from rdad.data.layouts import category_folder
from rdad.data.ranges import RANGES, check_ranges, check_texture, check_tiles
from rdad.data.samples import existing_folder, folders_under
from rdad.data.tiling import Tiling
from rdad.model.geometry import checked_input_size, checked_layers
from rdad.runs.names import expanded

WEIGHTS_ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors")
OWN = ("rdad.", "lightning.")  # packages whose constructors' arguments the schema knows


def check(cfg: DictConfig) -> None:
    """Everything about a configuration that can be known before anything slow is imported.

    Raises:
        ConfigError: a value is missing, of the wrong type, or not allowed.
    """
    try:
        check_keys("the configuration", cfg, TrainConfig)
        missing = OmegaConf.missing_keys(cfg)
        if missing:
            example = sorted(missing)[0]
            raise ConfigError(f"{', '.join(sorted(missing))} must be given, as in {example}=…")
        _check_dataset(cfg)
        check_values(TrainConfig, cfg)
        checked_layers(cfg.model.layers)
        checked_input_size(cfg.model.input_size, cfg.model.layers)
        _check_own_parts(cfg)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"{error.full_key}: {said}" if error.full_key else said) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_places(cfg: DictConfig) -> None:
    """Folders, files and packages that a checked configuration names; no image is looked for.

    Raises:
        FileNotFoundError: a folder or file is not there.
        ConfigError: a package is not there, or the data set has no such category.
    """
    _check_is_there(OmegaConf.to_container(cfg, resolve=True))
    given, weights = cfg.dataset, cfg.model.weights
    ignored = given.get("ignore")
    if isinstance(ignored, str) and not expanded(ignored).exists():
        raise FileNotFoundError(f"dataset.ignore: there is no file or folder {ignored}")
    to_come = given.get("download") and not expanded(given.root).exists()
    if given._target_ in DATASETS and given.get("root") is not None and not to_come:
        base = existing_folder(given.root)
        if given._target_ == "rdad.data.mvtec_ad":
            try:
                for category in given.category if given.get("joint") else [given.category]:
                    category_folder(base, category)
            except ValueError as error:
                raise ConfigError(f"dataset.category: {error}") from error
        for key in ("normal", "normal_test", "defects", "masks"):
            folders_under(base, given.get(key), or_files=key == "normal")
    start = cfg.model.start_from
    if start is not None and not expanded(start).exists():
        raise FileNotFoundError(f"model.start_from: there is no run or file {start}")
    if weights is None or not cfg.model.pre_trained:
        return
    is_path = os.sep in weights or Path(weights).suffix in WEIGHTS_ENDINGS
    if is_path and not expanded(weights).exists():
        raise FileNotFoundError(f"model.weights: there is no file {weights}")


def check_keys(place: str, found: Iterable[Any], schema: type) -> None:
    """Hydra's `+key=value` adds a key to any schema; here it would do nothing without a word."""
    known = [one.name for one in fields(schema)]
    for key in found:
        one_of(f"a key of {place}", key, [*known, *getattr(schema, "FURTHER", ())])


def _check_own_parts(cfg: DictConfig) -> None:
    for place in ("callbacks", "logger"):
        for key, node in cfg[place].items():
            if not (isinstance(node, Mapping) and "_target_" in node):
                raise ConfigError(f"{place}.{key} must be a node with a _target_; found {node!r}")
            watched = str(node.get("monitor", ""))
            if watched.startswith("watch/") or (
                watched.startswith("val/") and cfg.dataset.get("validation") != "split"
            ):
                raise ConfigError(
                    f"{place}.{key} decides by {watched}, which must be of good images that are "
                    "neither trained nor tested on: val/loss with dataset.validation=split; found "
                    f"dataset.validation={cfg.dataset.get('validation')}"
                )


def _check_is_there(plain: Any, place: str = "") -> None:
    """Raises ConfigError where what is called has no package, so far as its name alone tells."""
    for key, value in plain.items() if isinstance(plain, Mapping) else ():
        if key == "_target_":
            package, dot, _ = str(value).partition(".")
            if not dot or not package.isidentifier() or find_spec(package) is None:
                raise ConfigError(f"{place}{key} must name what can be imported; found {value!r}")
        _check_is_there(value, f"{place}{key}.")


def _check_dataset(cfg: DictConfig) -> None:
    if not isinstance(cfg.dataset, DictConfig) or "_target_" not in cfg.dataset:
        raise ConfigError(f"dataset must be a node with a _target_; found {cfg.dataset!r}")
    schema = DATASETS.get(str(cfg.dataset._target_))
    if schema is None:  # a user's own constructor checks its own arguments
        return
    given: Any = OmegaConf.to_container(cfg.dataset, resolve=True)
    check_keys("dataset", given, schema)
    several = isinstance(given.get("category"), list)
    typed = _typed(of_joint(schema) if several else schema, given)
    check_values(schema, typed, "dataset.")
    elsewhere = {"image_size"} | ({"seed"} if typed.seed == cfg.seed else set())
    ranged = [key for key in RANGES if key in typed and key not in elsewhere]
    try:
        check_ranges(**{key: typed[key] for key in ranged})
        check_joint(typed.category, typed.joint)
        Tiling.of((1, 1) if typed.tile is None else typed.tile, typed.tile_overlap)
        check_tiles(typed.tile, typed.resize, typed.ignore)
        if typed._target_ == "rdad.data.textures":
            for category in typed.category if several else [typed.category]:
                check_texture(category)
    except ValueError as error:
        raise ConfigError(f"dataset.{error}") from error
    for key, found in given.items():
        if typed[key] != found:  # the constructor gets what was given, not what it can be read as
            raise ConfigError(
                f"dataset.{key} must be {typed[key]!r}; found {found!r} "
                f"(quotes make a text of a number, as in \"dataset.{key}='1'\")"
            )


def _typed(schema: type[DatasetConfig], given: dict[str, Any]) -> Any:
    """The node as its schema reads it."""
    typed: Any = OmegaConf.structured(schema)
    for key, value in given.items():
        try:
            typed[key] = value
        except OmegaConfBaseException as error:
            said = str(error).splitlines()[0]
            if "is not a ListConfig" in said:
                said = f"a list in brackets is needed; found {value!r}"
            raise ConfigError(f"dataset.{error.full_key or key}: {said}") from error
    missing = ", ".join(f"dataset.{key}" for key in sorted(OmegaConf.missing_keys(typed)))
    if missing:
        raise ConfigError(f"{missing} must be given")
    return typed


def check_values(schema: type, node: Mapping[str, Any], place: str = "") -> None:
    """Raises ConfigError where a value is not what its field allows, or a node has other keys.

    Null is allowed where the field's type says so. Somebody's own constructor checks its own keys.
    """
    for one in fields(schema):
        value, key, allowed = node[one.name], f"{place}{one.name}", one.metadata.get("allowed")
        may_be_null = type(None) in get_args(one.type)
        if (nested := _node_type(one)) and value is not None:
            if str(value.get("_target_", OWN[0])).startswith(OWN):
                check_keys(key, value, nested)
            check_values(nested, value, f"{key}.")
        elif allowed is not None and not (value is None and may_be_null) and value not in allowed:
            near = hint(value, getattr(allowed, "names", ()))
            raise ConfigError(f"{key} must be {allowed}; found {value!r}{near}")


def check_threshold(threshold: float | None, image_rate: float | None) -> None:
    """Raises ConfigError where one is out of its range, or both are given."""
    given = {"threshold": threshold, "thresholds": {"image_rate": image_rate, "category": None}}
    check_values(JudgingConfig, given)
    if threshold is not None and image_rate is not None:
        raise ConfigError("threshold and thresholds.image_rate exclude each other; give one")


def asked_threshold(cfg: DictConfig) -> dict[str, Any]:
    """What `rdad.detector.calibration.chosen_thresholds` takes; raises as `check_threshold`."""
    of = cfg.thresholds
    check_threshold(cfg.threshold, of.image_rate)
    return {"value": cfg.threshold, "image_rate": of.image_rate, "category": of.category}


def _node_type(one: "Field[Any]") -> type | None:
    """The schema of a field that is a node, or may be."""
    kinds = [kind for kind in (one.type, *get_args(one.type)) if is_dataclass(kind)]
    return next((kind for kind in kinds if isinstance(kind, type)), None)


def one_of(key: str, found: Any, allowed: Iterable[str]) -> None:
    """Raises ConfigError, with what is allowed, where `found` is none of it."""
    if found not in allowed:
        names = ", ".join(allowed)
        raise ConfigError(f"{key} must be one of {names}; found {found!r}{hint(found, allowed)}")

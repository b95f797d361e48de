"""Configurations, composed and checked by all that can be known without anything slow."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.schema import DATASETS, Range, TrainConfig
from rdad.data.datasets import RANGES, check_ranges
from rdad.data.tiling import Tiling
from rdad.model.geometry import checked_input_size, checked_layers

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class ConfigError(ValueError):
    """A configuration that cannot be run; the message says what is wrong and what is allowed."""


def load_config(*overrides: str) -> DictConfig:
    """Compose conf/train.yaml with overrides in Hydra's spelling, outside the command line.

    Raises:
        ConfigError: an override names no group, option or key, or a value of the wrong type.
    """
    return composed("train", overrides)


def composed(name: str, overrides: Iterable[str]) -> DictConfig:
    """conf/<name>.yaml with overrides; raises as `load_config`."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            return compose(name, overrides=list(overrides))
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            reasons = [str(error), str(error.__cause__ or "")]  # ValueError for group=null
            raise ConfigError("\n".join(filter(None, reasons))) from error


def change(cfg: DictConfig, overrides: Iterable[str], *, force_add: bool = False) -> None:
    """Set values, in Hydra's spelling, in what is composed; raises ConfigError."""
    for text in overrides:
        try:
            one = OverridesParser.create().parse_override(text)
            OmegaConf.update(cfg, one.key_or_group, one.value(), force_add=force_add)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"{text}: {str(error).splitlines()[0]}") from error


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
        checked_layers(cfg.model.layers)
        checked_input_size(cfg.model.input_size, cfg.model.layers)
        check_values(TrainConfig, cfg)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_keys(place: str, found: Iterable[Any], schema: type) -> None:
    """Hydra's `+key=value` adds a key to any schema; here it would do nothing without a word."""
    for key in found:
        one_of(f"a key of {place}", key, [known.name for known in fields(schema)])


def _check_dataset(cfg: DictConfig) -> None:
    schema = DATASETS.get(cfg.dataset._target_)
    if schema is None:  # a user's own constructor checks its own arguments
        return
    given: Any = OmegaConf.to_container(cfg.dataset, resolve=True)
    check_keys("dataset", given, schema)
    try:
        typed: Any = OmegaConf.merge(OmegaConf.structured(schema), given)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        if "is not a ListConfig" in said:
            said = f"a list in brackets is needed; found {given[error.full_key]!r}"
        raise ConfigError(f"dataset.{error.full_key}: {said}") from error
    missing = ", ".join(f"dataset.{key}" for key in sorted(OmegaConf.missing_keys(typed)))
    if missing:
        raise ConfigError(f"{missing} must be given")
    for key, found in given.items():
        if typed[key] != found:  # the constructor gets what was given, not what it can be read as
            raise ConfigError(
                f"dataset.{key} must be {typed[key]!r}; found {found!r} "
                f"(quotes make a text of a number, as in \"dataset.{key}='1'\")"
            )
    ranged = [key for key in RANGES if key in typed and key != "image_size"]
    try:
        check_ranges(**{key: typed[key] for key in ranged})
        Tiling.of(typed.tile or (1, 1), typed.tile_overlap)
        if typed._target_ == "rdad.data.textures":
            from rdad.data.texture_photographs import check_category

            check_category(typed.category)
    except ValueError as error:
        raise ConfigError(f"dataset.{error}") from error


def check_values(schema: type, node: Mapping[str, Any], place: str = "") -> None:
    """Raises ConfigError where a value, unless it is null, is not what the field allows."""
    for one in fields(schema):
        value, key, allowed = node[one.name], f"{place}{one.name}", one.metadata.get("allowed")
        if value is None:
            continue
        if is_dataclass(one.type) and isinstance(one.type, type):
            check_values(one.type, value, f"{key}.")
        elif isinstance(allowed, Range):
            if value not in allowed:
                raise ConfigError(f"{key} must be {allowed}; found {value}")
        elif allowed and not isinstance(value, Mapping):  # a node, whose constructor checks it
            for name in ([*value] or [None]) if OmegaConf.is_list(value) else [value]:
                one_of(key, name, allowed)


def quoted(value: str) -> str:
    """A text as a value of Hydra's override grammar, whatever signs are in it.

    There backslashes stand for themselves, but for those before a quote.
    """
    escaped = re.sub(
        r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value
    )
    return f"'{escaped}'"


def one_of(key: str, found: Any, allowed: Iterable[str]) -> None:
    """Raises ConfigError, with what is allowed, where `found` is none of it."""
    if found not in allowed:
        raise ConfigError(f"{key} must be one of {', '.join(allowed)}; found {found!r}")

"""Configurations, composed and checked by all that can be known without anything slow."""

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.schema import DATASETS, TrainConfig
from rdad.data.tiling import Tiling
from rdad.model.geometry import checked_input_size, checked_layers
from rdad.model.precision import OF_LIGHTNING

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT

LARGEST_SEED = 2**32 - 1  # numpy's
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")  # torch.compile's
TRAIN_SECONDS = "train_seconds"
OBJECTIVES = (
    *(f"test/{scope}_{name}" for scope in ("image", "pixel") for name in ("auroc", "ap", "f1_max")),
    "test/aupro",
    TRAIN_SECONDS,
)


class ConfigError(ValueError):
    """A configuration that cannot be run; the message says what is wrong and what is allowed."""


def objectives(cfg: DictConfig) -> list[str]:
    """The names under `objective`, of which there may be one or several."""
    return [cfg.objective] if isinstance(cfg.objective, str) else list(cfg.objective)


def load_config(*overrides: str) -> DictConfig:
    """Compose conf/train.yaml with overrides in Hydra's spelling, outside the command line.

    Raises:
        ConfigError: an override names no group, option or key, or a value of the wrong type.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            return compose("train", overrides=list(overrides))
        except (HydraException, ValueError) as error:  # the latter for group=null
            raise ConfigError(
                "\n".join(filter(None, [str(error), str(error.__cause__ or "")]))
            ) from error


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
        _check_choices(cfg)
        _check_ranges(cfg)
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
        typed = OmegaConf.merge(OmegaConf.structured(schema), given)
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
    _check_dataset_values(typed)


def _check_dataset_values(dataset: Any) -> None:
    one_of("dataset.validation", dataset.validation, ("none", "split", "test"))
    _at_least("dataset.batch_size", dataset.batch_size, 1)
    fraction = dataset.validation_fraction
    if not 0 < fraction < 1:
        raise ConfigError(
            f"dataset.validation_fraction must be above 0 and below 1; found {fraction}"
        )
    for key in ("calibration", "holdout"):
        if key in dataset and not 0 <= dataset[key] < 1:
            raise ConfigError(f"dataset.{key} must be in [0, 1); found {dataset[key]}")
    Tiling.of(dataset.tile or (1, 1), dataset.tile_overlap)
    if dataset._target_ == "rdad.data.textures":
        from rdad.data.texture_photographs import CATEGORIES

        one_of("dataset.category", dataset.category, CATEGORIES)


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


def _at_least(key: str, found: float, smallest: float) -> None:
    if not found >= smallest:
        raise ConfigError(f"{key} must be {smallest} or more; found {found}")


def _check_choices(cfg: DictConfig) -> None:
    one_of("model.anomaly_map_mode", cfg.model.anomaly_map_mode, ("add", "multiply"))
    one_of("model.loss", cfg.model.loss, ("global_cosine", "local_cosine"))
    one_of("trainer.precision", cfg.trainer.precision, OF_LIGHTNING)
    one_of("cache_features", cfg.cache_features, ("float32", "float16", "none"))
    if cfg.compile is not None:
        one_of("compile", cfg.compile, COMPILE_MODES)
    one_of("evaluation.aupro", cfg.evaluation.aupro, ("dataset", "per_image"))
    for name in objectives(cfg) or [None]:
        one_of("objective", name, OBJECTIVES)


def _check_ranges(cfg: DictConfig) -> None:
    """Numbers that would otherwise fail late, or do nothing without a word."""
    for key, found, smallest in (
        ("seed", cfg.seed, 0),
        ("trainer.max_epochs", cfg.trainer.max_epochs, 1),
        ("trainer.check_val_every_n_epoch", cfg.trainer.check_val_every_n_epoch, 1),
        ("checkpoint_every_n_epochs", cfg.checkpoint_every_n_epochs, 0),
        ("artifacts.overlays", cfg.artifacts.overlays or 0, 0),
        ("model.sigma", cfg.model.sigma, 0),
    ):
        _at_least(key, found, smallest)
    if cfg.seed > LARGEST_SEED:
        raise ConfigError(f"seed must be {LARGEST_SEED} or less; found {cfg.seed}")
    if not cfg.model.lr > 0:
        raise ConfigError(f"model.lr must be above 0; found {cfg.model.lr}")
    for key in ("beta1", "beta2"):
        if not 0 <= cfg.model[key] < 1:
            raise ConfigError(f"model.{key} must be in [0, 1); found {cfg.model[key]}")
    for key, rate in cfg.thresholds.items():
        if not 0 < rate < 1:
            raise ConfigError(f"thresholds.{key} must be above 0 and below 1; found {rate}")
    if not 0 < cfg.evaluation.fpr_limit <= 1:
        raise ConfigError(
            f"evaluation.fpr_limit must be in (0, 1]; found {cfg.evaluation.fpr_limit}"
        )

"""What `python -m rdad.benchmark` may be told, and the checks that need nothing slow."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.compose import ConfigError, check_keys, one_of
from rdad.config.schema import DATASETS
from rdad.model.geometry import LAYERS, checked_input_size
from rdad.model.precision import OF_LIGHTNING


@dataclass
class NetworkConfig:
    backbone: str = MISSING
    weights: str | None = MISSING


@dataclass
class PrecisionConfig:
    precision: str = MISSING


@dataclass
class BenchmarkConfig:
    """The keys of conf/benchmark.yaml; the rest of the network is the published recipe's."""

    model: NetworkConfig = field(default_factory=NetworkConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    image_size: list[int] = MISSING
    batch_size: int = MISSING
    device: str = MISSING
    trainer: PrecisionConfig = field(default_factory=PrecisionConfig)
    images: int = MISSING
    rounds: int = MISSING
    epochs: int = MISSING
    seed: int = MISSING


ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)


def check_settings(cfg: DictConfig) -> None:
    """Raises ConfigError where a value is missing, of the wrong type, or not allowed."""
    check_keys("the configuration", cfg, BenchmarkConfig)
    try:
        schema = DATASETS.get(cfg.dataset.get("_target_", ""))
        if schema is not None:
            OmegaConf.merge(OmegaConf.structured(schema), cfg.dataset)
        if missing := sorted(OmegaConf.missing_keys(cfg)):
            raise ConfigError(f"{', '.join(missing)} must be given, as in {missing[0]}=…")
        checked_input_size(cfg.image_size, LAYERS)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    _check_values(cfg)


def _check_values(cfg: DictConfig) -> None:
    for key in ("image_size", "batch_size"):
        if key in cfg.dataset and cfg.dataset[key] != cfg[key]:
            raise ConfigError(f"dataset.{key} is given as {key}=… here; found {cfg.dataset[key]}")
    if tile := cfg.dataset.get("tile"):
        raise ConfigError(f"dataset.tile must be null: tiles are not timed; found {tile}")
    one_of("device", cfg.device, ("auto", "cpu", "cuda"))
    one_of("trainer.precision", cfg.trainer.precision, OF_LIGHTNING)
    smallest = {"batch_size": 2, "images": 2, "rounds": 1, "epochs": 1, "seed": 0}
    for key, least in smallest.items():
        if cfg[key] < least:
            raise ConfigError(f"{key} must be {least} or more; found {cfg[key]}")

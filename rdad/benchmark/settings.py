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

DEVICES = ("auto", "cpu", "cuda")


@dataclass
class NetworkConfig:
    """The encoder; everything else of the network is the published recipe's."""

    backbone: str = MISSING
    weights: str | None = MISSING


@dataclass
class TrainerConfig:
    """What the group `precision` sets."""

    precision: str = MISSING


@dataclass
class BenchmarkConfig:
    model: NetworkConfig = field(default_factory=NetworkConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    image_size: list[int] = MISSING
    batch_size: int = MISSING
    device: str = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    images: int = MISSING  # at most so many training images, and as many test images
    rounds: int = MISSING
    epochs: int = MISSING  # of the training whose whole time is worked out
    seed: int = MISSING
    cost: bool = MISSING
    cost_images: list[int] = MISSING
    cost_sizes: list[int] = MISSING


ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)


def check_settings(cfg: DictConfig) -> None:
    """Raises ConfigError where a value is missing, of the wrong type, or not allowed."""
    _check_keys(cfg)
    try:
        schema = DATASETS.get(cfg.dataset.get("_target_", ""))
        if schema is not None:
            OmegaConf.merge(OmegaConf.structured(schema), cfg.dataset)
        if missing := sorted(OmegaConf.missing_keys(cfg)):
            raise ConfigError(f"{', '.join(missing)} must be given, as in {missing[0]}=…")
        checked_input_size(cfg.image_size, LAYERS)
        for side in cfg.cost_sizes if cfg.cost else ():
            checked_input_size((side, side), LAYERS)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    _check_values(cfg)


def _check_keys(cfg: DictConfig) -> None:
    """What would be taken and then do nothing."""
    check_keys("the configuration", cfg, BenchmarkConfig)
    for key in ("image_size", "batch_size"):
        if key in cfg.dataset and cfg.dataset[key] != cfg[key]:
            raise ConfigError(f"dataset.{key} is given as {key}=… here; found {cfg.dataset[key]}")
    if cfg.dataset.get("tile"):
        raise ConfigError(
            f"dataset.tile must be null: tiles are not timed; found {cfg.dataset.tile}"
        )


def _check_values(cfg: DictConfig) -> None:
    for key, found, allowed in (
        ("device", cfg.device, DEVICES),
        ("trainer.precision", cfg.trainer.precision, OF_LIGHTNING),
    ):
        one_of(key, found, allowed)
    smallest = {"batch_size": 2, "images": 2, "rounds": 1, "epochs": 1, "seed": 0}
    for key, least in smallest.items():
        if cfg[key] < least:
            raise ConfigError(f"{key} must be {least} or more; found {cfg[key]}")
    for key in ("cost_images", "cost_sizes"):
        if len(set(cfg[key])) < 2 or min(cfg[key]) < 1:
            raise ConfigError(f"{key} must be two or more different numbers; found {cfg[key]}")

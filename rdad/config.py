"""What a configuration may hold: types, allowed keys, and the checks that need nothing slow."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.model.geometry import checked_input_size, checked_layers

_INSTALLED, _CHECKOUT = Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class ConfigError(ValueError):
    """A configuration that cannot be run; the message says what is wrong and what is allowed."""


@dataclass
class ModelConfig:
    """The arguments of `rdad.ReverseDistillation`, with its meanings."""

    _target_: str = MISSING
    backbone: str = MISSING
    layers: list[str] = MISSING
    anomaly_map_mode: str = MISSING
    loss: str = MISSING
    input_size: list[int] = MISSING
    lr: float = MISSING
    beta1: float = MISSING
    beta2: float = MISSING
    pre_trained: bool = MISSING
    weights: str | None = MISSING
    sigma: float = MISSING


@dataclass
class DatasetConfig:
    """What the constructors in `rdad.data` have in common."""

    _target_: str = MISSING
    category: str | None = MISSING
    image_size: list[int] = MISSING
    batch_size: int = MISSING
    validation: str = MISSING
    validation_fraction: float = MISSING
    split_seed: int = MISSING
    seed: int = MISSING


@dataclass
class MVTecADConfig(DatasetConfig):
    root: str = MISSING


@dataclass
class FolderConfig(DatasetConfig):
    root: str = MISSING
    normal: Any = MISSING  # a folder or a list of folders, as are the next three
    normal_test: Any = None
    holdout: float = MISSING
    defects: Any = MISSING
    masks: Any = MISSING


DATASETS: dict[str, type[DatasetConfig]] = {
    "rdad.data.textures": DatasetConfig,
    "rdad.data.mvtec_ad": MVTecADConfig,
    "rdad.data.folder": FolderConfig,
}


@dataclass
class TrainerConfig:
    """The arguments of `lightning.pytorch.Trainer` that a run may set."""

    _target_: str = MISSING
    accelerator: str = MISSING
    devices: Any = MISSING  # a number, a list of numbers, or auto
    strategy: str = MISSING
    num_nodes: int = MISSING
    precision: str = MISSING
    max_epochs: int = MISSING
    check_val_every_n_epoch: int = MISSING


@dataclass
class TrackingConfig:
    """The arguments of `rdad.tracking.MlflowTracker`."""

    _target_: str = MISSING
    uri: str = MISSING
    experiment: str | None = MISSING
    system_metrics: bool = MISSING


@dataclass
class ArtifactsConfig:
    maps: bool = MISSING
    overlays: int | None = MISSING


@dataclass
class EvaluationConfig:
    fpr_limit: float = MISSING
    aupro: str = MISSING


@dataclass
class TrainConfig:
    model: ModelConfig = field(default_factory=ModelConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig | None = None
    artifacts: ArtifactsConfig = field(default_factory=ArtifactsConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    seed: int = MISSING
    cache_features: bool = MISSING
    reuse: bool = MISSING
    checkpoint_every_n_epochs: int = MISSING
    resume: bool = MISSING
    objective: str = MISSING


ConfigStore.instance().store(name="train_schema", node=TrainConfig)


def load_config(*overrides: str) -> DictConfig:
    """Compose conf/train.yaml with overrides in Hydra's spelling, outside the command line.

    Raises:
        ConfigError: an override names no group, option or key, or a value of the wrong type.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            return compose("train", overrides=list(overrides))
        except HydraException as error:
            raise ConfigError(
                "\n".join(filter(None, [str(error), str(error.__cause__ or "")]))
            ) from error


def check(cfg: DictConfig) -> None:
    """Everything about a configuration that can be known before anything slow is imported.

    Raises:
        ConfigError: a value is missing, of the wrong type, or not allowed.
    """
    try:
        _check_dataset(cfg)
        missing = OmegaConf.missing_keys(cfg)
        if missing:
            example = sorted(missing)[0]
            raise ConfigError(f"{', '.join(sorted(missing))} must be given, as in {example}=…")
        checked_layers(cfg.model.layers)
        checked_input_size(cfg.model.input_size, cfg.model.layers)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    _check_choices(cfg)
    _check_ranges(cfg)


def _check_dataset(cfg: DictConfig) -> None:
    schema = DATASETS.get(cfg.dataset.get("_target_", ""))
    if schema is not None:  # a user's own constructor checks its own arguments
        OmegaConf.merge(OmegaConf.structured(schema), cfg.dataset)


def _one_of(key: str, found: Any, allowed: Iterable[str]) -> None:
    if found not in allowed:
        raise ConfigError(f"{key} must be one of {', '.join(allowed)}; found {found!r}")


def _check_choices(cfg: DictConfig) -> None:
    _one_of("model.anomaly_map_mode", cfg.model.anomaly_map_mode, ("add", "multiply"))
    _one_of("model.loss", cfg.model.loss, ("global_cosine", "local_cosine"))
    _one_of("evaluation.aupro", cfg.evaluation.aupro, ("dataset", "per_image"))
    _one_of("dataset.validation", cfg.dataset.validation, ("none", "split", "test"))


def _check_ranges(cfg: DictConfig) -> None:
    """Numbers that would otherwise fail late, or do nothing without a word."""
    at_least = {
        "seed": (cfg.seed, 0),
        "dataset.batch_size": (cfg.dataset.batch_size, 1),
        "trainer.max_epochs": (cfg.trainer.max_epochs, 1),
        "trainer.check_val_every_n_epoch": (cfg.trainer.check_val_every_n_epoch, 1),
        "checkpoint_every_n_epochs": (cfg.checkpoint_every_n_epochs, 0),
        "artifacts.overlays": (cfg.artifacts.overlays or 0, 0),
        "model.sigma": (cfg.model.sigma, 0),
    }
    for key, (found, smallest) in at_least.items():
        if found < smallest:
            raise ConfigError(f"{key} must be {smallest} or more; found {found}")
    if not cfg.model.lr > 0:
        raise ConfigError(f"model.lr must be above 0; found {cfg.model.lr}")
    for key in ("beta1", "beta2"):
        if not 0 <= cfg.model[key] < 1:
            raise ConfigError(f"model.{key} must be in [0, 1); found {cfg.model[key]}")
    if not 0 < cfg.evaluation.fpr_limit <= 1:
        raise ConfigError(
            f"evaluation.fpr_limit must be in (0, 1]; found {cfg.evaluation.fpr_limit}"
        )

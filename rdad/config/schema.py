"""What a configuration may hold: its keys and their types."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


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
    calibration: float = MISSING
    split_seed: int = MISSING
    seed: int = MISSING
    tile: list[int] | None = MISSING
    tile_overlap: float = MISSING


@dataclass
class MVTecADConfig(DatasetConfig):
    root: str = MISSING


@dataclass
class FolderConfig(DatasetConfig):
    root: str = MISSING
    normal: Any = MISSING  # a folder or a list of folders, as are the next three
    normal_test: Any = MISSING
    defects: Any = MISSING
    masks: Any = MISSING
    holdout: float = MISSING


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
    log_model: bool = MISSING


@dataclass
class ArtifactsConfig:
    maps: bool = MISSING
    overlays: int | None = MISSING
    report: bool = MISSING


@dataclass
class EvaluationConfig:
    fpr_limit: float = MISSING
    streaming: bool = MISSING
    aupro: str = MISSING


@dataclass
class ThresholdsConfig:
    """The false-alarm rates that thresholds are found for."""

    image_rate: float = MISSING
    pixel_rate: float = MISSING


@dataclass
class TrainConfig:
    model: ModelConfig = field(default_factory=ModelConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig | None = None
    artifacts: ArtifactsConfig = field(default_factory=ArtifactsConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    thresholds: ThresholdsConfig = field(default_factory=ThresholdsConfig)
    seed: int = MISSING
    cache_features: str = MISSING
    compile: str | None = MISSING
    reuse: bool = MISSING
    checkpoint_every_n_epochs: int = MISSING
    resume: bool = MISSING
    objective: Any = MISSING  # a name out of OBJECTIVES, or several


@dataclass
class SourceConfig:
    """What the commands that open a trained network take, as `rdad.open_model` means it."""

    weights: str | None = MISSING
    tracking_uri: str | None = MISSING
    backbone: str | None = MISSING
    layers: list[str] | None = MISSING
    image_size: list[int] | None = MISSING


ConfigStore.instance().store(name="train_schema", node=TrainConfig)

"""What a configuration may hold: its keys, their types, and the values that are allowed."""

import math
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from rdad.model.precision import AUTO, OF_LIGHTNING

TRAIN_SECONDS = "train_seconds"
OBJECTIVES = (
    *(f"test/{scope}_{name}" for scope in ("image", "pixel") for name in ("auroc", "ap", "f1_max")),
    "test/aupro",
    TRAIN_SECONDS,
)
LOSSES = (
    *("global_cosine", "local_cosine", "hard_mining", "loose"),
    *("hard_mining_chained", "loose_chained"),
)
LARGEST_SEED = 2**32 - 1  # numpy's


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both finite numbers' limits; `open` leaves an end out.

    Attributes:
        open: `(`, `)`, `()` or nothing, as mathematics writes an interval's ends.
    """

    low: float
    high: float = math.inf
    open: str = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.low if "(" in self.open else value >= self.low
        below = value < self.high if ")" in self.open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low}" if self.open else f"{self.low} or more"
        if self.open == "()":
            return f"above {self.low} and below {self.high}"
        left, right = "(" if "(" in self.open else "[", ")" if ")" in self.open else "]"
        return f"in {left}{self.low}, {self.high}{right}"


def number(low: float, high: float = math.inf, *, open: str = "", default: Any = MISSING) -> Any:  # noqa: A002
    """A field whose value, unless it is null, lies in this range.

    Args:
        default: Of an option that came later: what configurations without it mean, so that with
            this value a training is the one that it was, see `rdad.config.parameters`.
    """
    return field(default=default, metadata={"allowed": Range(low, high, open)})


def choice(*names: str, default: Any = MISSING) -> Any:
    """A field whose value, if it is a text, is one of these; `default` as of `number`."""
    return field(default=default, metadata={"allowed": names})


@dataclass
class ModelConfig:
    """The arguments of `rdad.ReverseDistillation`, with its meanings."""

    _target_: str = MISSING
    backbone: Any = MISSING  # a name, or a node with the _target_ of one's own encoder
    layers: list[str] = MISSING
    anomaly_map_mode: str = choice("add", "multiply")
    loss: Any = choice(*LOSSES)  # or a node with the _target_ of one's own
    input_size: list[int] = MISSING
    lr: float = number(0, open="(")
    beta1: float = number(0, 1, open=")")
    beta2: float = number(0, 1, open=")")
    pre_trained: bool = MISSING
    weights: str | None = MISSING
    sigma: float = number(0)
    optimizer: str = choice("adam", "adamw", "stable_adamw", default="adam")
    weight_decay: float = number(0, default=0.0)
    clip_norm: float | None = number(0, open="(", default=None)
    schedule: str = choice("constant", "cosine", "step", default="constant")
    warmup_steps: int = number(0, default=0)
    bottleneck_dropout: float = number(0, 1, open=")", default=0.0)
    feature_jitter: float = number(0, default=0.0)
    score_share: float = number(0, 1, default=0.0)


@dataclass
class DatasetConfig:
    """What the constructors in `rdad.data` have in common; `rdad.data.datasets` has its ranges."""

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
    precision: str = choice(*OF_LIGHTNING, AUTO)
    max_epochs: int = number(1)
    max_steps: int | None = number(1, default=None)
    check_val_every_n_epoch: int = number(1)


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
    overlays: int | None = number(0)
    report: bool = MISSING


@dataclass
class EvaluationConfig:
    fpr_limit: float = number(0, 1, open="(")
    streaming: bool = MISSING
    aupro: str = choice("dataset", "per_image")


@dataclass
class ThresholdsConfig:
    """The false-alarm rates that thresholds are found for."""

    image_rate: float = number(0, 1, open="()")
    pixel_rate: float = number(0, 1, open="()")


@dataclass
class TrainConfig:
    model: ModelConfig = field(default_factory=ModelConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: dict[str, Any] = field(default_factory=dict)  # nodes with the _target_ of one's own
    logger: dict[str, Any] = field(default_factory=dict)  # as callbacks
    tracking: TrackingConfig | None = None
    artifacts: ArtifactsConfig = field(default_factory=ArtifactsConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    thresholds: ThresholdsConfig = field(default_factory=ThresholdsConfig)
    seed: int = number(0, LARGEST_SEED)
    cache_features: str = choice("float32", "float16", "none")
    compile: str | None = choice("default", "reduce-overhead", "max-autotune")  # torch.compile's
    threads: int | None = number(0, default=None)
    reuse: bool = MISSING
    checkpoint_every_n_epochs: int = number(0)
    resume: bool = MISSING
    objective: Any = choice(*OBJECTIVES)  # a name, or several


@dataclass
class SourceConfig:
    """What the commands that open a trained network take, as `rdad.open_model` means it."""

    weights: str | None = MISSING
    tracking_uri: str | None = MISSING
    backbone: str | None = MISSING
    layers: list[str] | None = MISSING
    image_size: list[int] | None = MISSING


ConfigStore.instance().store(name="train_schema", node=TrainConfig)

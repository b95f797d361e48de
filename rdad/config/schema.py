"""What a configuration may hold: its keys, their types, and the values that are allowed."""

from dataclasses import dataclass, field, make_dataclass
from typing import Any, ClassVar, get_args

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from rdad.config.allowed import (
    MOST_DEVICES,
    MOST_EPOCHS,
    MOST_STEPS,
    choice,
    devices,
    folders,
    named_lists,
    number,
    sides,
    text,
    weights,
)
from rdad.data.ranges import LARGEST_SEED
from rdad.model.names import LossName, Mode, OptimizerName, ScheduleName
from rdad.model.precision import AUTO, OF_LIGHTNING

TRAIN_SECONDS = "train_seconds"
OBJECTIVES = (
    *(f"test/{scope}_{name}" for scope in ("image", "pixel") for name in ("auroc", "ap", "f1_max")),
    *("test/seg_f1", "test/au_spro", "test/aupro"),
    TRAIN_SECONDS,
)
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
STRATEGIES = (
    *("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true"),
    *(
        f"ddp_{start}{unused}"
        for start in ("spawn", "fork", "notebook")
        for unused in ("", "_find_unused_parameters_false", "_find_unused_parameters_true")
    ),
    *("fsdp", "fsdp_cpu_offload", "deepspeed", "deepspeed_stage_1", "deepspeed_stage_2"),
    *("deepspeed_stage_2_offload", "deepspeed_stage_3", "deepspeed_stage_3_offload"),
    *("deepspeed_stage_3_offload_nvme", "single_device", "single_tpu", "single_xla"),
    *("xla", "xla_debug"),
)
"""Those that Lightning has."""


@dataclass
class ModelConfig:
    """The arguments of `rdad.ReverseDistillation`, with its meanings, and what fills it."""

    _target_: str = MISSING
    backbone: Any = text("a network's name", node=True)  # the node is one's own encoder
    layers: list[str] = MISSING
    anomaly_map_mode: str = choice(*get_args(Mode))
    loss: Any = choice(*get_args(LossName), node=True)  # the node is one's own
    input_size: list[int] = sides()
    lr: float = number(0, 1000, open="(")
    beta1: float = number(0, 1, open=")")
    beta2: float = number(0, 1, open=")")
    pre_trained: bool = MISSING
    weights: Any = weights()
    sigma: float = number(0, 10_000)
    optimizer: str = choice(*get_args(OptimizerName), default="adam")
    weight_decay: float = number(0, 1000, default=0.0)
    clip_norm: float | None = number(0, 1_000_000, open="(", default=None)
    schedule: str = choice(*get_args(ScheduleName), default="constant")
    warmup_steps: int = number(0, MOST_STEPS, default=0)
    bottleneck_dropout: float = number(0, 1, open=")", default=0.0)
    feature_jitter: float = number(0, 1000, default=0.0)
    score_share: float = number(0, 1, default=0.0)
    start_from: str | None = text("a run or its model.pt, which fills what is built", default=None)


@dataclass
class DatasetConfig:
    """What the constructors in `rdad.data` have in common; `rdad.data.ranges` has its ranges."""

    _target_: str = MISSING
    image_size: list[int] = sides()
    batch_size: int = MISSING
    validation: str = MISSING
    validation_fraction: float = MISSING
    calibration: float = MISSING
    split_seed: int = MISSING
    seed: int = MISSING
    tile: list[int] | None = sides()
    tile_overlap: float = MISSING
    bits: Any = MISSING  # auto, or a number
    resize: str = "stretch"
    ignore: Any = None  # a path, or a rectangle's edges
    joint: bool = False


def of_joint(schema: type[DatasetConfig]) -> type[DatasetConfig]:
    """The same for several categories as one, whose names are a list."""
    return make_dataclass(schema.__name__, [("category", list[str], MISSING)], bases=(schema,))


@dataclass
class TexturesConfig(DatasetConfig):
    category: str = MISSING


@dataclass
class PublicConfig(DatasetConfig):
    root: str = text("a folder")
    category: str = MISSING
    download: bool = False


@dataclass
class FolderConfig(DatasetConfig):
    root: str = text("a folder")
    category: str | None = MISSING
    normal: Any = folders(least=1)
    normal_test: Any = folders()
    defects: Any = folders()
    masks: Any = folders()
    holdout: float = MISSING
    recursive: bool = MISSING
    allow_duplicates: bool = MISSING


@dataclass
class UnsplitConfig(PublicConfig):
    """Of data sets of which no split is published."""

    holdout: float = MISSING


@dataclass
class TableConfig(DatasetConfig):
    file: str = MISSING
    root: str | None = MISSING
    category: str | None = MISSING


DATASETS: dict[str, type[DatasetConfig]] = {
    "rdad.data.textures": TexturesConfig,
    "rdad.data.mvtec_ad": PublicConfig,
    "rdad.data.folder": FolderConfig,
    "rdad.data.readers.table.table": TableConfig,
    "rdad.data.readers.btad.btad": PublicConfig,
    "rdad.data.readers.dagm.dagm": PublicConfig,
    "rdad.data.readers.kolektor.kolektor_sdd": UnsplitConfig,
    "rdad.data.readers.kolektor.kolektor_sdd2": PublicConfig,
    "rdad.data.readers.magnetic_tile.magnetic_tile": UnsplitConfig,
    "rdad.data.readers.mvtec_3d.mvtec_3d": PublicConfig,
    "rdad.data.readers.mvtec_ad_2.mvtec_ad_2": PublicConfig,
    "rdad.data.readers.mvtec_layout.goodsad": PublicConfig,
    "rdad.data.readers.mvtec_layout.mpdd": PublicConfig,
    "rdad.data.readers.mvtec_loco.autovi": PublicConfig,
    "rdad.data.readers.mvtec_loco.mvtec_loco": PublicConfig,
    "rdad.data.readers.real_iad.real_iad": PublicConfig,
    "rdad.data.readers.vad.vad": PublicConfig,
    "rdad.data.readers.visa.visa": PublicConfig,
}


@dataclass
class TrainerConfig:
    """The arguments of `lightning.pytorch.Trainer` that a run may set; others are the run's own."""

    FURTHER: ClassVar[tuple[str, ...]] = (  # with a +, as in +trainer.gradient_clip_val=1
        *("fast_dev_run", "min_epochs", "min_steps", "max_time", "overfit_batches"),
        *("limit_train_batches", "limit_test_batches", "limit_predict_batches", "plugins"),
        *("val_check_interval", "accumulate_grad_batches", "gradient_clip_val", "profiler"),
        *("gradient_clip_algorithm", "deterministic", "benchmark", "inference_mode", "barebones"),
        *("use_distributed_sampler", "detect_anomaly", "sync_batchnorm", "model_registry"),
        *("reload_dataloaders_every_n_epochs", "enable_autolog_hparams"),
    )
    _target_: str = MISSING
    accelerator: str = choice(*ACCELERATORS)
    devices: Any = devices()
    strategy: str = choice(*STRATEGIES)
    num_nodes: int = number(1, MOST_DEVICES)
    precision: str = choice(*OF_LIGHTNING, AUTO)
    max_epochs: int = number(1, MOST_EPOCHS)
    max_steps: int | None = number(1, MOST_STEPS, default=None)
    check_val_every_n_epoch: int = number(1, MOST_EPOCHS)


@dataclass
class TrackingConfig:
    """The arguments of `rdad.tracking.MlflowTracker`."""

    _target_: str = MISSING
    uri: str = text("an address, as sqlite:///mlflow.db or http://host:5000")
    experiment: str | None = MISSING
    system_metrics: bool = MISSING
    log_model: bool = MISSING
    log_encoder: bool | None = None


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
    spro_limit: float = number(0, 1, open="(")
    groups: Any = named_lists("types")


@dataclass
class ThresholdsConfig:
    """The false-alarm rates that thresholds are found for."""

    image_rate: float = number(0, 1, open="()")
    pixel_rate: float = number(0, 1, open="()")
    by: str = choice("common", "category", default="common")


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
    threads: int | None = number(0, MOST_DEVICES, default=None)
    reuse: bool = MISSING
    checkpoint_every_n_epochs: int = number(0, MOST_EPOCHS)
    resume: bool = MISSING
    objective: Any = choice(*OBJECTIVES, several=True)


@dataclass
class SourceConfig:
    """What the commands that open a trained network take, as `rdad.open_model` means it."""

    weights: str | None = MISSING
    tracking_uri: str | None = MISSING
    backbone: str | None = MISSING
    layers: list[str] | None = MISSING
    image_size: list[int] | None = MISSING


@dataclass
class ImageRateConfig:
    """A false-alarm rate other than the calibration's; None keeps that."""

    image_rate: float | None = number(0, 1, open="()")


@dataclass
class OwnRateConfig(ImageRateConfig):
    """And of which category, of a network whose categories have thresholds of their own."""

    category: str | None = None


@dataclass
class JudgingConfig:
    """The image threshold in place of the network's own: a raw score, or by a false-alarm rate."""

    threshold: float | None = number(0, open="(")
    thresholds: OwnRateConfig = field(default_factory=OwnRateConfig)


ConfigStore.instance().store(name="train_schema", node=TrainConfig)

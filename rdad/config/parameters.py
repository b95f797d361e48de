"""What a configuration says in other places: a run's parameters, its name, what a training is.

All is derived from the configuration's keys, less lists that stand here: an option that nobody
listed is told, and makes another training.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from rdad.config.schema import DatasetConfig, ModelConfig, TrainConfig, TrainerConfig

FINDING = (
    *("_target_", "root", "file", "category", "normal", "normal_test", "defects", "masks"),
    *("recursive", "joint"),
)
"""Keys of `dataset` that say where its images are."""

SPLITTING = ("calibration", "split_seed", "validation", "validation_fraction", "holdout")
"""Keys of `dataset` by which images were trained on, and others tested on."""

BESIDE = {
    *("tracking", "logger", "artifacts", "evaluation", "thresholds", "reuse", "resume"),
    *("checkpoint_every_n_epochs", "objective", "threads"),
}
"""What no training and no reader of a results table asks about."""

AFTER_TRAINING = BESIDE | {"model.anomaly_map_mode", "model.sigma", "model.score_share"}
"""What acts on that which a training gave, or beside it."""

COUNTED_BY_CONTENT = {
    *(f"dataset.{key}" for key in (*FINDING, *SPLITTING, "tile", "tile_overlap", "bits")),
    *("dataset.resize", "dataset.ignore", "dataset.allow_duplicates", "dataset.download"),
    "model.weights",
} - {"dataset.validation"}
"""What digests of the images that are trained on, and of the encoder's weights, hold already."""

UNTOLD = BESIDE | {
    *("model.pre_trained", "model.beta1", "model.beta2", "model.weight_decay"),
    *("model.warmup_steps", "dataset.image_size", "dataset.seed"),
    *(f"dataset.{key}" for key in (*FINDING, *SPLITTING, "tile_overlap", "bits")),
    *("dataset.allow_duplicates", "dataset.download"),
    *("trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.num_nodes"),
    *("trainer.check_val_every_n_epoch", "cache_features", "compile", "callbacks"),
} - {"dataset.validation"}
"""What a reader of a results table does not ask about; run folder and MLflow have it all."""

OF_TRAINING = (
    *("loss", "weights", "max_epochs", "max_steps", "lr", "optimizer", "clip_norm", "schedule"),
    *("bottleneck_dropout", "feature_jitter", "validation", "seed"),
)
"""Parameters that say nothing of how a trained network is scored."""

SHOWN_AS = {"anomaly_map_mode": "mode", "input_size": "image_size"}


def training_settings(cfg: DictConfig) -> dict[str, Any]:
    """What a training reads, as plain data: all but what acts after it or is counted by content."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    settings = _without(settings, AFTER_TRAINING | COUNTED_BY_CONTENT)
    settings["model"]["layers"] = sorted(set(settings["model"]["layers"]))
    if not cfg.dataset._target_.startswith("rdad."):  # may make of the images what it will
        settings["dataset"]["_target_"] = cfg.dataset._target_
    if settings["trainer"].get("max_steps") is not None:
        del settings["trainer"]["max_epochs"]
    return _without_defaults(settings, TrainConfig)


def parameters(cfg: DictConfig, dataset: str, category: str) -> dict[str, str | int | float]:
    """What a reader of a results table asks about."""
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    told = _without(plain, UNTOLD)
    if not cfg.model.pre_trained:
        told["model"]["weights"] = None
    if cfg.trainer.max_steps is not None:
        told["trainer"]["max_epochs"] = None
    found: dict[str, str | int | float] = {"dataset": dataset, "category": category}
    for key, value in _leaves(told):
        name = key.rpartition(".")[2]
        if name != "_target_":
            found[SHOWN_AS.get(name, name)] = _text(value)
    return found


def later_options() -> dict[str, str | int | float]:
    """Defaults of the options that older records do not contain, by name."""
    schemas = ModelConfig, DatasetConfig, TrainerConfig
    known = [one for schema in schemas for one in fields(schema)]
    return {one.name: _text(one.default) for one in known if one.default != MISSING}


def run_name(cfg: DictConfig, category: str) -> str:
    """Short, for a row of a table: category, backbone, map mode, and layers where not all."""
    layers = sorted(set(cfg.model.layers))
    named = "" if len(layers) == 3 else " " + "+".join(layers)
    return f"{category} {_text(cfg.model.backbone)} {cfg.model.anomaly_map_mode}{named}"


def _without(node: Mapping[str, Any], keys: Iterable[str], place: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{place}{key}.") if isinstance(value, Mapping) else value
        for key, value in node.items()
        if f"{place}{key}" not in keys
    }


def _without_defaults(node: Mapping[str, Any], schema: type) -> dict[str, Any]:
    """Less the options that came later and are at their default: trainings before had none."""
    known = {one.name: one for one in fields(schema)}
    kept: dict[str, Any] = {}
    for key, value in node.items():
        of = known.get(key)
        if of is not None and is_dataclass(of.type) and isinstance(value, Mapping):
            kept[key] = _without_defaults(value, of.type)  # type: ignore[arg-type]
        elif of is None or of.default != value:
            kept[key] = value
    return kept


def _leaves(node: Mapping[str, Any], place: str = "") -> Iterable[tuple[str, Any]]:
    """Values by dotted keys; a node that names a constructor of one's own is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and (not place or "_target_" not in value):
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _text(value: Any) -> str | int | float:
    """As a table shows it: [256, 256] as 256x256, a set of names as a+b, a node by its target."""
    if isinstance(value, Mapping):
        return str(value["_target_"]).rpartition(".")[2]
    if isinstance(value, list):
        numbers = all(isinstance(one, int | float) for one in value)
        return ("x" if numbers else "+").join(map(str, value if numbers else sorted(set(value))))
    return "none" if value is None else value

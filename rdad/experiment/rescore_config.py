"""What an evaluation is about: the run's own configuration, changed by the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rdad.config.checks import check
from rdad.config.compose import change, load_config
from rdad.config.mistakes import ConfigError
from rdad.config.parameters import FINDING, SPLITTING
from rdad.config.schema import DATASETS
from rdad.model.precision import AUTO, IN_LIGHTNING
from rdad.runs.files import resolved

if TYPE_CHECKING:
    from rdad.detector.trained_model import TrainedModel

OF_THE_RUN = ("dataset", "artifacts", "evaluation")
"""Nodes of the run's configuration that options may change."""

OF_SCORING = ("batch_size", "image_size", "tile", "tile_overlap")
"""Keys of `dataset` that say how images are scored; the network has a say in all but the first."""


def is_of_the_run(argument: str) -> bool:
    """Whether a command-line argument is an option that changes such a node."""
    key, equals, _ = argument.partition("=")
    return bool(equals) and key.partition(".")[0] in OF_THE_RUN


def configuration(
    trained: "TrainedModel",
    run: DictConfig | None,
    options: Sequence[str],
    changed_map: Mapping[str, Any],
) -> DictConfig:
    """The configuration of an evaluation, in the keys of conf/train.yaml.

    Args:
        run: What the network was trained with; None where only the network is known.
        options: dataset=..., and values below the nodes `OF_THE_RUN`.
        changed_map: anomaly_map_mode, sigma and score_share; None keeps the network's.

    Raises:
        ConfigError: an option is not allowed, or no images are named.
        OmegaConfBaseException: what the network was trained with is not of this version.
    """
    if run is not None and not OmegaConf.is_dict(run.get("dataset")):
        run = None  # its configuration is cut off: the network alone is known
    named = [one for one in options if one.startswith("dataset=")]
    if run is None and not named:
        raise ConfigError(
            f"which images {trained.name} is to be scored on is not known; name them, as in "
            "dataset=mvtec_ad dataset.root=data/mvtec_ad dataset.category=bottle"
        )
    cfg = load_config(*(named or [f"dataset={_option_of(run)}"]), "tracking=off")
    if run is not None:
        _take_over(cfg, run, with_dataset=not named)
    if run is None or cfg.trainer.precision == AUTO:
        cfg.trainer.precision = IN_LIGHTNING[trained.precision]
    if not named:
        _refuse_other_reading(options, DATASETS[cfg.dataset._target_])
    _fit(cfg, trained)
    for key, value in changed_map.items():
        cfg.model[key] = cfg.model[key] if value is None else value
    change(cfg, [one for one in options if one not in named], force_add=True)
    if named and run is not None and _same_images(cfg.dataset, run.dataset):
        _refuse_other_reading(options, DATASETS[cfg.dataset._target_])
        for key in set(SPLITTING) & set(run.dataset):
            cfg.dataset[key] = run.dataset[key]
    _check_fit(cfg, trained)
    check(cfg)
    return cfg


def _same_images(one: DictConfig, other: DictConfig) -> bool:
    """Whether both data sets find the same files, whichever of them are then trained on."""
    return all(_place(one.get(key)) == _place(other.get(key)) for key in FINDING)


def _place(named: object) -> object:
    """A path as it is on the disk; what is off or empty as None; anything else as it is."""
    return resolved(Path(named)) if isinstance(named, str) else named or None


def _option_of(run: DictConfig | None) -> str:
    """The name under conf/dataset, which is that of the function in rdad.data."""
    target = OmegaConf.select(run, "dataset._target_") if run is not None else None
    if target not in DATASETS:
        raise ConfigError(
            f"the run's own images come from {target}, which rdad does not call; name images, as "
            "in dataset=folder dataset.root=parts dataset.normal=good"
        )
    return str(target).rpartition(".")[2]


def _take_over(cfg: DictConfig, run: DictConfig, *, with_dataset: bool) -> None:
    """How images are read is the run's also where others are named; which are held back is not.

    Whether images may be downloaded is said for each evaluation anew.
    """
    plain: Any = OmegaConf.to_container(run.dataset, resolve=True)
    plain.pop("download", None)
    own = {"calibration": 0} | plain
    if not with_dataset:
        left = {*FINDING, *SPLITTING} - {"calibration"}
        own = {key: own[key] for key in own if key in cfg.dataset and key not in left}
    cfg.trainer.precision, cfg.seed = run.trainer.precision, run.seed
    for node in ("artifacts", "evaluation", "thresholds"):
        cfg[node] = OmegaConf.merge(cfg[node], run.get(node) or {})
    cfg.dataset = OmegaConf.merge(cfg.dataset, own)


def _refuse_other_reading(options: Sequence[str], schema: type) -> None:
    """Of the run's own images only their place may be another, and how many are scored at once."""
    keys = {one.partition("=")[0].removeprefix("dataset.") for one in options}
    free = {*FINDING, *OF_SCORING, "allow_duplicates", "download"}
    if found := sorted(keys & {one.name for one in fields(schema)} - free):
        raise ConfigError(
            f"dataset.{found[0]} decides which of the run's images were trained on, or how they "
            "are read, and cannot be another now; with other images, named by dataset=..., it can "
            "be given"
        )


def _check_fit(cfg: DictConfig, trained: "TrainedModel") -> None:
    """Raises ConfigError where an option says another size, or another way to it."""
    if list(cfg.dataset.image_size) != list(trained.model.input_size):
        size = list(trained.model.input_size)
        raise ConfigError(
            f"dataset.image_size is {list(cfg.dataset.image_size)}; this network works at {size}"
        )
    if cfg.dataset.resize != _resize(trained):
        raise ConfigError(
            f"dataset.resize is {cfg.dataset.resize}; this network works with {_resize(trained)}"
        )


def _resize(trained: "TrainedModel") -> str:
    return "letterbox" if trained.framing.letterbox else "stretch"


def _fit(cfg: DictConfig, trained: "TrainedModel") -> None:
    """What the network itself decides."""
    model, tiling = trained.model, trained.tiling
    cfg.dataset.image_size = list(model.input_size)
    cfg.dataset.tile = None if tiling is None else list(tiling.size)
    if tiling is not None:
        cfg.dataset.tile_overlap = tiling.overlap
    cfg.dataset.bits = trained.bits
    cfg.dataset.resize = _resize(trained)
    cfg.model.backbone, cfg.model.layers = model.backbone, list(model.layers)
    cfg.model.anomaly_map_mode = model.anomaly_map.mode
    cfg.model.sigma, cfg.model.score_share = model.anomaly_map.sigma, model.anomaly_map.score_share

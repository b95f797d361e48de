"""Lightning's Trainer as a run has it: logging, checkpoints and progress are ours."""

import logging
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig

from rdad.config.build import build
from rdad.config.mistakes import ConfigError
from rdad.data import AnomalyDataModule
from rdad.detector.device import has_bf16
from rdad.model.precision import AUTO, BF16, FLOAT32, IN_LIGHTNING, OF_LIGHTNING
from rdad.results.evaluation import metrics_for
from rdad.training.callbacks import (
    CachedFeatures,
    Checkpoint,
    EpochReport,
    StepLimit,
    WatchedMetrics,
)
from rdad.training.progress import ProgressBar

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)

seed_everything = partial(L.seed_everything, workers=True, verbose=False)


def with_known_precision(cfg: DictConfig) -> DictConfig:
    """The configuration with what `precision=auto` is on this machine; else as it is.

    Says so, and warns where bf16 was asked for and is slow here.
    """
    on_gpu = cfg.trainer.accelerator != "cpu" and torch.cuda.is_available()
    has, where = has_bf16(torch.device("cuda" if on_gpu else "cpu")), "GPU" if on_gpu else "CPU"
    if cfg.trainer.precision == AUTO:
        chosen, known = BF16 if has else FLOAT32, cfg.copy()
        known.trainer.precision = IN_LIGHTNING[chosen]
        has_or_not = "has" if has else "has no"
        log.info("precision=auto: %s; this %s %s bf16 instructions", chosen, where, has_or_not)
        return known
    if not has and OF_LIGHTNING[cfg.trainer.precision] == BF16:
        log.warning(
            "precision=bf16: this %s has no instructions for it%s; precision=auto takes float32",
            where,
            "" if on_gpu else ", and a training took 15 times as long as in float32 on one such",
        )
    return cfg


def make_trainer(
    cfg: DictConfig, run_dir: Path, datamodule: AnomalyDataModule, epoch_report: EpochReport
) -> L.Trainer:
    """The Trainer that `trainer` configures, with a run's callbacks.

    Raises:
        ConfigError: Lightning refuses a value.
    """
    callbacks: list[Callback] = [] if epoch_report.log_lines else [ProgressBar()]
    if datamodule.validation == "test":
        log.info("validation=test: its metrics are to watch, and never to choose by")
        callbacks.append(WatchedMetrics(metrics_for(datamodule, **cfg.evaluation), datamodule))
    if cfg.cache_features != "none":
        callbacks.append(CachedFeatures(datamodule, cfg.cache_features))
    callbacks += [epoch_report, Checkpoint(run_dir, every=cfg.checkpoint_every_n_epochs)]
    callbacks = [*_own("callbacks", cfg), *callbacks]  # what they log is in the epoch's report
    loggers = _own("logger", cfg, save_dir=str(run_dir))
    if (steps := cfg.trainer.max_steps) is not None:
        callbacks.insert(0, StepLimit(steps))
    return _trainer(
        cfg,
        max_epochs=cfg.trainer.max_epochs if steps is None else -1,  # -1: without end
        callbacks=callbacks,
        default_root_dir=str(run_dir),
        logger=loggers or False,
        num_sanity_val_steps=0,
        limit_val_batches=0 if datamodule.validation == "none" else None,
        log_every_n_steps=1,
    )


def check_trainer(cfg: DictConfig) -> None:
    """Whether there are the devices that `trainer` names, before images are read for them.

    Raises:
        ConfigError: Lightning refuses a value.
    """
    _trainer(cfg, logger=False)


def _trainer(cfg: DictConfig, **further: Any) -> L.Trainer:
    _quiet_lightning()
    ours = ("enable_checkpointing", "enable_model_summary", "enable_progress_bar")
    try:
        return build(cfg.trainer, max_steps=-1, **dict.fromkeys(ours, False), **further)
    except (ConfigError, InstantiationException) as error:
        asks = cfg.trainer.accelerator not in (AUTO, "cpu")
        hint = "; trainer=auto takes what there is" if asks else ""
        raise ConfigError(f"trainer: {error.__cause__ or error}{hint}") from error


def _own(group: str, cfg: DictConfig, **defaults: str) -> list[Any]:
    """What the nodes of `callbacks` or `logger` name; `defaults` are for what is null in them.

    Raises:
        ConfigError: one cannot be made.
    """
    made = []
    for name, node in cfg[group].items():
        lacking = {key: value for key, value in defaults.items() if key in node and not node[key]}
        try:
            made.append(build(node, **lacking))
        except (ConfigError, InstantiationException) as error:
            raise ConfigError(f"{group}.{name}: {error.__cause__ or error}") from error
    return made


def _quiet_lightning() -> None:
    """Keep back what it says of things that are meant to be so."""
    for message in (
        ".*does not have many workers.*",
        ".*in eval mode at the start of training.*",
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

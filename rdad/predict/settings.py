"""What `python -m rdad.predict` may be told, and the checks that need nothing slow."""

from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from rdad.config.compose import ConfigError
from rdad.config.schema import SourceConfig
from rdad.predict.rows import FILE_FORMATS, MAP, OVERLAY


@dataclass
class PredictConfig(SourceConfig):
    """The options of conf/predict.yaml, which says what they are for."""

    output: str | None = MISSING
    format: str | None = MISSING
    overlays: bool = MISSING
    maps: bool = MISSING
    overwrite: bool = MISSING
    batch_size: int = MISSING
    device: str = MISSING


ConfigStore.instance().store(name="predict_schema", node=PredictConfig)


def check_settings(cfg: DictConfig) -> None:
    """Raises ConfigError where a value is not allowed, or results would be written over."""
    if cfg.format not in (None, *FILE_FORMATS):
        raise ConfigError(f"format={cfg.format}; allowed: {', '.join(FILE_FORMATS)}")
    if cfg.batch_size < 1:
        raise ConfigError(f"batch_size={cfg.batch_size}; allowed: 1 or more")
    if file_kinds(cfg) and not cfg.output:
        raise ConfigError("overlays and maps need a folder, as in output=results")
    path = results_file(cfg)
    if path and path.exists() and not cfg.overwrite:
        raise ConfigError(f"{path} is there already; name another output, or say overwrite=true")


def results_file(cfg: DictConfig) -> Path | None:
    """None where rows go to standard output alone."""
    return Path(cfg.output, f"results.{cfg.format or FILE_FORMATS[0]}") if cfg.output else None


def file_kinds(cfg: DictConfig) -> list[str]:
    """Which files are written of each image: OVERLAY, MAP, both or none."""
    return [kind for kind, wanted in ((OVERLAY, cfg.overlays), (MAP, cfg.maps)) if wanted]

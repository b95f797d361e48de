"""The command line of the benchmark: what it may be told, checked without anything slow."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.allowed import choice, number
from rdad.config.checks import check_keys, check_values
from rdad.config.compose import CONF_DIR, composed
from rdad.config.help import app_help
from rdad.config.mistakes import ConfigError
from rdad.config.schema import DATASETS
from rdad.config.spelling import spelled
from rdad.model.geometry import LAYERS, checked_input_size
from rdad.model.precision import OF_LIGHTNING
from rdad.runs.ending import asks_for_help, end_with_its_reader, reader_may_leave
from rdad.runs.folder import have_a_home


@dataclass
class NetworkConfig:
    backbone: str = MISSING
    weights: str | None = MISSING


@dataclass
class PrecisionConfig:
    precision: str = choice(*OF_LIGHTNING)


@dataclass
class BenchmarkConfig:
    """The keys of conf/benchmark.yaml; the rest of the network is the published recipe's."""

    model: NetworkConfig = field(default_factory=NetworkConfig)
    dataset: Any = MISSING  # checked against DATASETS by its _target_
    image_size: list[int] = MISSING
    batch_size: int = number(2)
    device: str = choice("auto", "cpu", "cuda")
    trainer: PrecisionConfig = field(default_factory=PrecisionConfig)
    images: int = number(2)
    rounds: int = number(1)
    epochs: int = number(1)
    seed: int = number(0)


ConfigStore.instance().store(name="benchmark_schema", node=BenchmarkConfig)


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="benchmark")
def main(cfg: DictConfig) -> None:
    """Measure, print a table and what it says, and leave it in the run folder."""
    try:
        _check(cfg)
        from rdad.benchmark.report import report

        said = report(cfg, Path(HydraConfig.get().runtime.output_dir))
    except (OSError, ValueError) as error:
        sys.exit(f"rdad.benchmark: {error}")
    with reader_may_leave():
        print(said)


def _check(cfg: DictConfig) -> None:
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
    for key in ("image_size", "batch_size"):
        if key in cfg.dataset and cfg.dataset[key] != cfg[key]:
            raise ConfigError(f"dataset.{key} is given as {key}=… here; found {cfg.dataset[key]}")
    if tile := cfg.dataset.get("tile"):
        raise ConfigError(f"dataset.tile must be null: tiles are not timed; found {tile}")
    check_values(BenchmarkConfig, cfg)


def command() -> None:
    """The command line, as of `rdad.train`."""
    end_with_its_reader(sys.argv[1:])
    have_a_home()
    try:
        sys.argv[1:] = spelled(sys.argv[1:])
        if asks_for_help(sys.argv[1:]):
            given = [one for one in sys.argv[1:] if not one.startswith("-")]
            print(app_help(composed("benchmark", given, with_hydra=True)))
            return
    except ConfigError as error:
        sys.exit(f"rdad.benchmark: {error}")
    main()


if __name__ == "__main__":
    command()

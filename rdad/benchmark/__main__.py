"""The command line of the benchmark."""

import sys
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rdad.benchmark.settings import check_settings
from rdad.config.compose import CONF_DIR, ConfigError

BAD_INPUT = 1


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="benchmark")
def main(cfg: DictConfig) -> None:
    """Measure, print a table and what it says, and leave it in the run folder."""
    try:
        check_settings(cfg)
        from rdad.benchmark.run import run_benchmark

        print(run_benchmark(cfg, Path(HydraConfig.get().runtime.output_dir)))
    except (ConfigError, OSError) as error:
        _stop(error)
    except ValueError as error:
        from rdad.data import DataError

        if not isinstance(error, DataError):
            raise
        _stop(error)


def _stop(error: Exception) -> NoReturn:
    print(f"rdad.benchmark: {error}", file=sys.stderr)
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()

"""The command line of the benchmark."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rdad.benchmark.settings import check_settings
from rdad.config.compose import CONF_DIR


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="benchmark")
def main(cfg: DictConfig) -> None:
    """Measure, print a table and what it says, and leave it in the run folder."""
    try:
        check_settings(cfg)
        from rdad.benchmark.report import report

        print(report(cfg, Path(HydraConfig.get().runtime.output_dir)))
    except (OSError, ValueError) as error:
        sys.exit(f"rdad.benchmark: {error}")


if __name__ == "__main__":
    main()

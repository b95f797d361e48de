"""python -m rdad.train: fit, test, save and track one run, or sweep over many."""

import math
import sys
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rdad.config import CONF_DIR, ConfigError
from rdad.experiment import RunResult, run
from rdad.replay import replayed

BAD_INPUT, UNTRACKED, INTERRUPTED = 1, 3, 130  # exit codes


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")
def main(cfg: DictConfig) -> float | None:
    """One job of the command line; gives its objective to Hydra's sweeper."""
    hydra_config = HydraConfig.get()
    output_dir = Path(hydra_config.runtime.output_dir)
    try:
        result = run(cfg, output_dir)
    except (ConfigError, OSError, KeyboardInterrupt) as error:
        if hydra_config.mode == RunMode.MULTIRUN:
            raise
        _stop(error, output_dir)
    except ValueError as error:
        from rdad.data import DataError

        if hydra_config.mode == RunMode.MULTIRUN or not isinstance(error, DataError):
            raise
        _stop(error, output_dir)
    if not result.metrics:  # a distributed run's further processes
        return None
    print(summary(result))
    if result.tracking_error is not None and hydra_config.mode == RunMode.RUN:
        sys.exit(UNTRACKED)
    return result.metrics.get(cfg.objective)


def summary(result: RunResult) -> str:
    """A short table of the metrics, the run folder, and what to type to see the run."""
    overall = {name: value for name, value in result.metrics.items() if name.count("/") == 1}
    width = max(map(len, overall))
    lines = ["", *(f"  {name:<{width}}  {_figure(value)}" for name, value in overall.items()), ""]
    lines.append(f"run folder  {_short(result.output_dir)}")
    if result.tracking_error is not None:
        lines.append(f"not in MLflow: {result.tracking_error}")
        lines.append(f"send it later with  python -m rdad.upload {_short(result.output_dir)}")
    elif result.ui_command is not None:
        lines.append(f"MLflow      {result.ui_command}")
        lines.append(f"            {result.page}")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _stop(error: BaseException, output_dir: Path) -> NoReturn:
    """One clear message, and an exit code that is not 0."""
    if isinstance(error, KeyboardInterrupt):
        print(f"interrupted; what there is stands in {_short(output_dir)}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    print(f"rdad.train: {error}", file=sys.stderr)
    sys.exit(BAD_INPUT)


def command() -> None:
    """The command line: `resume=` and `resume_sweep=` stand for the command that was stopped."""
    try:
        sys.argv[1:] = replayed(sys.argv[1:])
    except (OSError, ConfigError) as error:
        print(f"rdad.train: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main()


if __name__ == "__main__":
    command()

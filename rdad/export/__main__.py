"""python -m rdad.export: a trained network as one file that other programs run."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from rdad.config.allowed import number
from rdad.config.checks import asked_threshold, check_values
from rdad.config.command import Command
from rdad.config.schema import JudgingConfig, SourceConfig
from rdad.experiment.open_model import opened
from rdad.export.formats import checked_format
from rdad.runs.names import expanded
from rdad.runs.slow_imports import slow_imports

if TYPE_CHECKING:
    from rdad.detector.loaded_run import LoadedRun

COMMAND = Command(
    name="export",
    summary="Write a trained network as one graph from pixels to score, verdict and map, try it, "
    "and compare it with the network.",
    usage="RUN",
    least=1,
    most=1,
    examples=(
        "outputs/demo",
        "outputs/demo format=openvino precision=int8",
        "outputs/demo thresholds.image_rate=0.05 output=exported",
        "models:/toothbrush@champion format=torch output=exported",
    ),
)


@dataclass
class ExportConfig(JudgingConfig, SourceConfig):
    """The options of conf/export.yaml."""

    format: str = MISSING
    precision: str = MISSING
    output: str | None = MISSING
    images: str | None = MISSING
    compare: int | None = number(1)
    quantisation_images: int = number(1)
    calls: int = number(0)


ConfigStore.instance().store(name="export_schema", node=ExportConfig)


def export(named: list[str], cfg: DictConfig) -> int:
    """The command; gives the exit code."""
    checked_format(cfg.format, cfg.precision)  # before anything slow
    check_values(ExportConfig, cfg)
    asked = asked_threshold(cfg)
    with slow_imports():
        from rdad.export.export_model import export_model
        from rdad.export.summary import summary

    trained, run = opened(named[0], cfg)
    trained = trained.judging(**asked)
    folder = _folder(run, cfg)
    told = export_model(trained, run, folder, cfg)
    print(summary(told, trained, folder))
    return 0


def _folder(run: "LoadedRun | None", cfg: DictConfig) -> Path:
    """What output= names; else a folder in the run's, or in the current one."""
    if cfg.output is not None:
        return expanded(cfg.output)
    run_dir = None if run is None else run.run_dir  # a run out of MLflow has none
    return (run_dir or Path()) / "exports" / f"{cfg.format}-{cfg.precision}"


if __name__ == "__main__":
    sys.exit(COMMAND.main(export))

"""The whole benchmark: measure, work out, write."""

import logging
import tempfile
from pathlib import Path

import torch
from omegaconf import DictConfig

from rdad.benchmark.evaluation_part import evaluation_rows
from rdad.benchmark.growth import growth_rows
from rdad.benchmark.loading_part import loading_rows
from rdad.benchmark.machine import measure_machine
from rdad.benchmark.report import Report
from rdad.benchmark.startup import startup_rows
from rdad.benchmark.subject import Subject, chosen_device, found_images, spread
from rdad.benchmark.training_part import training_rows
from rdad.benchmark.whole import whole_rows

log = logging.getLogger(__name__)


def run_benchmark(cfg: DictConfig, output_dir: Path) -> str:
    """Everything that the settings ask for; returns the text for people.

    Leaves `benchmark.json` and `benchmark.png` in `output_dir`.

    Raises:
        ConfigError: the settings cannot be met.
        FileNotFoundError, rdad.data.DataError: images or weights are missing or unusable.
    """
    device = chosen_device(cfg.device)
    samples = found_images(cfg)
    _quieten()
    machine = measure_machine(device)
    with tempfile.TemporaryDirectory(prefix="rdad-benchmark-") as folder:
        train, test = spread(samples.train, cfg.images), spread(samples.test, cfg.images)
        subject = Subject(cfg, Path(folder), train, test)
        rows = [
            *startup_rows(cfg.rounds),
            *loading_rows(subject, cfg.rounds),
            *training_rows(subject, cfg.rounds),
            *evaluation_rows(subject, cfg.rounds),
            *whole_rows(subject, cfg.rounds),
        ]
        growth = list(growth_rows(cfg, samples, Path(folder))) if cfg.cost else []
    report = Report(machine, cfg, rows, growth)
    report.write(output_dir)
    return report.text()


def _quieten() -> None:
    """The benchmark speaks for itself."""
    for name in ("rdad", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.manual_seed(0)

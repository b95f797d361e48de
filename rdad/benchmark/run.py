"""The whole benchmark: measure, work out, write."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from omegaconf import DictConfig

from rdad.benchmark.evaluation_part import evaluation_rows
from rdad.benchmark.growth import growth_rows
from rdad.benchmark.loading_part import loading_rows
from rdad.benchmark.machine import measure_machine
from rdad.benchmark.report import Report
from rdad.benchmark.rows import Row
from rdad.benchmark.startup import startup_rows
from rdad.benchmark.subject import Subject, found_images, spread
from rdad.benchmark.training_part import training_rows
from rdad.benchmark.whole import whole_rows
from rdad.detector.device import chosen_device

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
        rows = [*_told(_rows(subject, cfg.rounds))]
        growth = list(growth_rows(cfg, samples, Path(folder))) if cfg.cost else []
    report = Report(machine, cfg, rows, growth)
    report.write(output_dir)
    return report.text()


def _rows(subject: Subject, rounds: int) -> Iterator[Row]:
    yield from startup_rows(subject, rounds)
    yield from loading_rows(subject, rounds)
    yield from training_rows(subject, rounds)
    yield from evaluation_rows(subject, rounds)
    yield from whole_rows(subject, rounds)


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, each with a line in the log as soon as it is measured."""
    for row in rows:
        log.info("%s, %s: %.3g s", row.group, row.name.strip(), row.ours.median)
        yield row


def _quieten() -> None:
    """Leave the word to the benchmark."""
    for name in ("rdad", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("rdad.benchmark").setLevel(logging.INFO)

"""How cost grows with the number of images and with their size."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from rdad.benchmark.clock import peak_memory, seconds_of
from rdad.benchmark.subject import Subject, spread
from rdad.benchmark.whole import EpochClock, evaluated, first_use, fit
from rdad.data.samples import Sample, Samples, named
from rdad.training.callbacks import CachedFeatures

log = logging.getLogger(__name__)

MEASURES = ("first use", "features", "epoch", "evaluation")


@dataclass(frozen=True)
class Growth:
    """Costs at several amounts of work.

    Attributes:
        of: What grows: `images`, or `pixels` an image.
        amounts: How much of it.
        seconds: By measure, one figure an amount.
        peak_bytes: While training, one figure an amount.
    """

    of: str
    amounts: tuple[int, ...]
    seconds: dict[str, tuple[float, ...]]
    peak_bytes: tuple[int, ...]

    def slope(self, measure: str) -> float:
        """Of the logarithms, by least squares: 1 is linear, 2 is quadratic."""
        return _slope(self.amounts, self.seconds[measure])


def growth_rows(cfg: DictConfig, samples: Samples, folder: Path) -> Iterator[Growth]:
    """One figure each of every measure, at each amount; images come again where there are fewer."""
    height, width = cfg.image_size
    numbers = sorted(set(cfg.cost_images))
    sizes = sorted(set(cfg.cost_sizes))
    points = [(number, (height, width)) for number in numbers]
    yield _grown("images", numbers, [_point(cfg, samples, folder, *point) for point in points])
    points = [(numbers[0], (side, side)) for side in sizes]
    pixels = [side * side for side in sizes]
    yield _grown("pixels", pixels, [_point(cfg, samples, folder, *point) for point in points])


Point = tuple[dict[str, float], int]


def _grown(of: str, amounts: Sequence[int], points: Sequence[Point]) -> Growth:
    seconds = {name: tuple(figures[name] for figures, _ in points) for name in MEASURES}
    return Growth(of, tuple(amounts), seconds, tuple(peak for _, peak in points))


def _point(
    cfg: DictConfig, samples: Samples, folder: Path, number: int, size: tuple[int, int]
) -> Point:
    log.info("growth: %d images of %d x %d", number, *size)
    train, test = _repeated(samples.train, number), _repeated(samples.test, number)
    subject = Subject(cfg, folder, train, test, size)
    clock = EpochClock(subject.device)
    with peak_memory(subject.device) as peak:
        fit(subject, [clock.started, CachedFeatures(subject.data), clock])
    figures = {
        "first use": seconds_of(lambda: first_use(subject), subject.device),
        "features": clock.preparations[0],
        "epoch": clock.epochs[0],
        "evaluation": seconds_of(lambda: evaluated(subject), subject.device),
    }
    return figures, peak[0]


def _repeated(samples: Sequence[Sample], number: int) -> tuple[Sample, ...]:
    """`number` samples from the whole range, each again where there are fewer."""
    few = spread(samples, number)
    return named(islice(cycle(few), number))


def _slope(amounts: Sequence[float], costs: Sequence[float]) -> float:
    return float(np.polyfit(np.log(amounts), np.log(costs), 1)[0])

"""One line of the table: a part of the work, timed in rdad and in the plain program."""

from dataclasses import dataclass

import torch

from rdad.benchmark.clock import Task, Timing, interleaved


@dataclass(frozen=True)
class Row:
    """Timings of one part; figures are medians.

    Attributes:
        group: Under which heading it stands.
        images: How many images one call works on; 0 for what is done once a run.
        precision: In which rdad's arithmetic is done, "float32" or "bf16".
        plain: None where the plain program has no such part.
    """

    group: str
    name: str
    images: int
    ours: Timing
    plain: Timing | None = None
    precision: str = "float32"

    @property
    def ratio(self) -> float | None:
        """How many times quicker rdad is."""
        return None if self.plain is None else self.plain.median / self.ours.median

    def milliseconds(self, timing: Timing) -> float:
        """Of an image, or of the whole where it is done once."""
        return 1000 * timing.median / max(self.images, 1)

    def images_per_second(self, timing: Timing) -> float | None:
        return self.images / timing.median if self.images else None


@dataclass(frozen=True)
class Stopwatch:
    """Makes rows of one group."""

    group: str
    device: torch.device
    rounds: int
    precision: str = "float32"

    def row(
        self,
        name: str,
        images: int,
        ours: Task,
        plain: Task | None = None,
        *,
        precision: str | None = None,
    ) -> Row:
        """Both tasks timed in turn; each call works on `images` images."""
        tasks = {"ours": ours} | ({} if plain is None else {"plain": plain})
        timings = interleaved(tasks, rounds=self.rounds, device=self.device)
        return Row(self.group, name, images, **timings, precision=precision or self.precision)

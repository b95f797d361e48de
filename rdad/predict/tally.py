"""What came of the images, counted."""

from collections import Counter
from typing import TYPE_CHECKING

from rdad.data.images import SHOWN_PROBLEMS

if TYPE_CHECKING:
    from rdad.predict.stream import Outcome


class Tally:
    """Counts outcomes, and keeps the first problems to show them together.

    Args:
        images: How many outcomes there will be.
    """

    def __init__(self, images: int) -> None:
        self._images = images
        self._labels: Counter[str | None] = Counter()
        self._problems: list[str] = []
        self.failed = 0

    @property
    def scored(self) -> int:
        return self._labels.total()

    def count(self, outcome: "Outcome") -> None:
        if outcome.prediction is not None:
            self._labels[outcome.prediction.label] += 1
            return
        self.failed += 1
        if self.failed <= SHOWN_PROBLEMS:
            self._problems.append(f"  {outcome.path}: {outcome.problem}")

    def __str__(self) -> str:
        """One line of counts, and one for each of the first images that failed."""
        done = self.scored + self.failed
        total = "1 image" if self._images == 1 else f"{self._images} images"
        images = total if done == self._images else f"{done} of {total}"
        counts = [f"{count} {label or 'scored'}" for label, count in sorted(self._labels.items())]
        if self.failed:
            counts.append(f"{self.failed} failed")
        lines = [f"{images}: {', '.join(counts) or 'none scored'}", *self._problems]
        if self.failed > SHOWN_PROBLEMS:
            lines.append(f"  ... and {self.failed - SHOWN_PROBLEMS} more")
        return "\n".join(lines)

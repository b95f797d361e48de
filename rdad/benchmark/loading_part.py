"""Files to pixels: for the first time, and from rdad's cache."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from rdad.benchmark.rows import Row, Stopwatch
from rdad.benchmark.subject import Subject
from rdad.data.decoded import decode

DECODED = 16  # images


def loading_rows(subject: Subject, rounds: int) -> Iterator[Row]:
    samples = subject.train[:DECODED]
    height, width = subject.size
    images = subject.plain.images(samples)
    watch = Stopwatch("data", subject.device, rounds)
    with tempfile.TemporaryDirectory(dir=subject.folder) as folder:
        numbers = count()

        def for_the_first_time() -> None:
            decode(samples, (height, width), Path(folder, str(next(numbers))))

        def from_the_cache() -> None:
            decode(samples, (height, width), Path(folder, "0")).images.sum()

        def plainly() -> None:
            for index in range(len(samples)):
                images[index]

        yield watch.row("decode, first time", len(samples), for_the_first_time, plainly)
        yield watch.row("decode, from the cache", len(samples), from_the_cache, plainly)

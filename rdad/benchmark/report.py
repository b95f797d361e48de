"""What was measured: as a table for people, as JSON for scripts, as a bar chart."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rdad.benchmark.chart import draw_chart
from rdad.benchmark.clock import Timing
from rdad.benchmark.conclusion import conclusions
from rdad.benchmark.growth import MEASURES, Growth
from rdad.benchmark.machine import Machine
from rdad.benchmark.rows import Row
from rdad.model.precision import OF_LIGHTNING
from rdad.runs.files import write_atomic, write_text_atomic

JSON_FILE, CHART_FILE = "benchmark.json", "benchmark.png"
HEADINGS = ("part", "rdad", "plain", "rdad is", "images/s", "GFLOP/s", "of peak", "memory")


class Report:
    """The result of a benchmark."""

    def __init__(
        self, machine: Machine, cfg: DictConfig, rows: Sequence[Row], growth: Sequence[Growth]
    ) -> None:
        self.machine, self.cfg, self.rows, self.growth = machine, cfg, rows, growth

    def write(self, folder: Path) -> None:
        """Leave `benchmark.json` and `benchmark.png` in `folder`."""
        text = json.dumps(self.content(), indent=2, ensure_ascii=False)
        write_text_atomic(folder / JSON_FILE, text + "\n")
        title = f"{self.cfg.model.backbone} on {self.machine.name}"
        write_atomic(folder / CHART_FILE, lambda draft: draw_chart(draft, self.rows, title))

    def content(self) -> dict[str, Any]:
        """As it stands in the JSON file; seconds, bytes, and 1e9 operations a call."""
        return {
            "settings": OmegaConf.to_container(self.cfg, resolve=True),
            "machine": asdict(self.machine),
            "parts": [self._part(row) for row in self.rows],
            "growth": [
                asdict(one) | {"slopes": {name: one.slope(name) for name in MEASURES}}
                for one in self.growth
            ],
            "conclusions": conclusions(self.rows, self.machine, self.cfg.epochs),
        }

    def text(self) -> str:
        """For the terminal."""
        lines = [self._heading(), "", *_aligned(self._table())]
        for one in self.growth:
            lines += ["", *_aligned(_growth_table(one))]
        return "\n".join([*lines, "", *conclusions(self.rows, self.machine, self.cfg.epochs)])

    def _heading(self) -> str:
        machine, cfg = self.machine, self.cfg
        height, width = cfg.image_size
        return (
            f"{machine.name} ({machine.device}, {machine.threads} threads, torch {machine.torch}): "
            f"matrix product {_speeds(machine)}; copy {machine.copy_gb_s:.0f} GB/s\n"
            f"{cfg.model.backbone}, {height} x {width}, batches of {cfg.batch_size}, "
            f"precision {OF_LIGHTNING[cfg.trainer.precision]}; the plain program in float32. "
            f"Medians of {cfg.rounds} rounds in turn, ms an image unless s is said."
        )

    def _table(self) -> list[tuple[str, ...]]:
        lines: list[tuple[str, ...]] = [HEADINGS]
        group = ""
        for row in self.rows:
            if row.group != group:
                group = row.group
                lines.append((group, *[""] * (len(HEADINGS) - 1)))
            lines.append(self._line(row))
        return lines

    def _line(self, row: Row) -> tuple[str, ...]:
        rate = row.images_per_second(row.ours)
        speed = _gflop_s(row.ours)
        memory, peak = row.ours.peak_bytes, self.machine.gflop_s.get(row.precision)
        return (
            f"  {row.name}",
            _cost(row, row.ours),
            _cost(row, row.plain) if row.plain else "",
            f"{row.ratio:.1f} x" if row.ratio else "",
            f"{rate:.1f}" if rate else "",
            f"{speed:.0f}" if speed else "",
            f"{speed / peak:.0%}" if speed and peak else "",
            f"{memory / 2**20:.0f} MiB" if memory else "",
        )

    def _part(self, row: Row) -> dict[str, Any]:
        programs = {"rdad": row.ours, "plain": row.plain}
        return {
            "group": row.group,
            "name": row.name.strip(),
            "images": row.images,
            "precision": row.precision,
            "ratio": row.ratio,
            **{name: _figures(row, timing) for name, timing in programs.items() if timing},
        }


def _speeds(machine: Machine) -> str:
    speeds = machine.gflop_s.items()
    return ", ".join(f"{speed:.0f} GFLOP/s in {precision}" for precision, speed in speeds)


def _figures(row: Row, timing: Timing) -> dict[str, Any]:
    return {
        "median_s": timing.median,
        "seconds": timing.seconds,
        "images_per_second": row.images_per_second(timing),
        "gflop": timing.gflop,
        "gflop_per_second": _gflop_s(timing),
        "peak_bytes": timing.peak_bytes,
    }


def _gflop_s(timing: Timing) -> float | None:
    return timing.gflop / timing.median if timing.gflop else None


def _cost(row: Row, timing: Timing) -> str:
    if not row.images:
        return f"{timing.median:.2f} s"
    cost = row.milliseconds(timing)
    return f"{cost:.0f} ms" if cost >= 100 else f"{cost:.2g} ms" if cost < 1 else f"{cost:.3g} ms"


def _growth_table(growth: Growth) -> list[tuple[str, ...]]:
    lines = [(f"growth with {growth.of}", *(f"{amount:,}" for amount in growth.amounts), "slope")]
    for name in MEASURES:
        figures = (f"{seconds:.2f} s" for seconds in growth.seconds[name])
        lines.append((f"  {name}", *figures, f"{growth.slope(name):.2f}"))
    memory = (f"{peak / 2**20:.0f} MiB" for peak in growth.peak_bytes)
    return [*lines, ("  memory in training", *memory, "")]


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]

"""What was measured: a table and what it says for people, JSON for scripts, a bar chart."""

import logging
import platform
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from rdad.benchmark.clock import Row, Timing, seconds_of
from rdad.benchmark.parts import all_rows
from rdad.benchmark.subject import Subject
from rdad.model.precision import FLOAT32
from rdad.runs.files import write_atomic, write_json

log = logging.getLogger(__name__)

LINE = "{:<34}{:>9}{:>9}{:>10}{:>10}{:>11}"
HEADINGS = ("part", "rdad", "plain", "rdad is", "images/s", "memory")
WORTH_IT = 1.15  # a setting is worth changing from this ratio on
MATRIX_SIDES = {"cpu": 2048, "cuda": 8192}


def report(cfg: DictConfig, output_dir: Path) -> str:
    """Measure everything, as `Subject` raises; gives the text for people.

    Leaves `benchmark.json` (seconds, bytes, 1e9 operations a call) and `benchmark.png`.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="rdad-benchmark-") as folder:
        with heard_from(logging.WARNING, "rdad"):
            subject = Subject(cfg, Path(folder))
        machine = measured_machine(subject.device, subject.precision)
        quiet = heard_from(logging.ERROR, "rdad", "lightning.pytorch")
        with quiet, heard_from(logging.INFO, __name__):
            for row in all_rows(subject):
                log.info("%s, %s: %.3g s", row.group, row.name.strip(), row.rdad.median)
                rows.append(row)
    said = conclusions(rows, cfg.epochs, machine["gflop_s"])
    content = {
        "settings": OmegaConf.to_container(cfg, resolve=True),
        "machine": machine,
        "parts": [_part(row) for row in rows],
        "conclusions": said,
    }
    write_json(output_dir / "benchmark.json", content)
    title = f"{cfg.model.backbone} on {machine['name']}"
    write_atomic(output_dir / "benchmark.png", lambda draft: draw_chart(draft, rows, title))
    return "\n".join([_heading(cfg, machine), "", *_table(rows), "", *said])


@contextmanager
def heard_from(level: int, *names: str) -> Iterator[None]:
    """Loggers at this level, and afterwards at their own."""
    with ExitStack() as stack:
        for logger in map(logging.getLogger, names):
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        yield


def measured_machine(device: torch.device, precision: str) -> dict[str, Any]:
    """What it is, and what a large matrix product reaches on it in 1e9 operations a second."""
    side = MATRIX_SIDES[device.type]
    dtype = torch.float32 if precision == FLOAT32 else torch.bfloat16
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    best = min(seconds_of(lambda: a @ b, device) for _ in range(3))
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif (described := Path("/proc/cpuinfo")).is_file():  # Linux
        name = "".join(re.findall(r"model name\s*: (.*)", described.read_text("utf-8"))[:1]) or name
    return {
        "device": device.type,
        "name": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": precision,
        "gflop_s": 2 * side**3 / best / 1e9,
    }


def conclusions(rows: Sequence[Row], epochs: int, peak: float) -> list[str]:
    """What the figures say, the most important first; nothing that was not measured.

    Args:
        peak: 1e9 operations a second of a large matrix product.
    """
    found = {row.name: row for row in rows}
    epoch, evaluation, step = found["epoch"], found["evaluation"], found["step"].rdad
    assert epoch.plain and evaluation.plain
    once = found["decode, first time"].rdad.median + found["features, once"].rdad.median
    ours = once + epochs * epoch.rdad.median + evaluation.rdad.median
    plain = epochs * epoch.plain.median + evaluation.plain.median
    pieces = {row.name.strip(): row.rdad.median for row in rows if row.name.startswith(" ")}
    shares = {name: cost / sum(pieces.values()) for name, cost in pieces.items()}
    dearest = sorted(shares, key=shares.__getitem__, reverse=True)
    return [
        f"Training: {epoch.ratio:.1f} times the plain program's images a second in an epoch; "
        f"evaluation: {evaluation.ratio:.1f} times.",
        f"{epochs} epochs of {epoch.images} images and the evaluation of {evaluation.images}, from "
        f"empty caches, would take {ours:.0f} s instead of {plain:.0f} s ({plain / ours:.1f} x).",
        f"A step consists of {', '.join(f'{name} {shares[name]:.0%}' for name in dearest)}; its "
        f"arithmetic runs at {step.gflop / step.median / peak:.0%} of what a large matrix product "
        "reaches here.",
        _advice(found),
    ]


def _advice(found: dict[str, Row]) -> str:
    other = next((name for name in found if name.startswith("step in ")), None)
    if other is None:
        return "This processor has no instructions for bf16: precision=float32 is the faster one."
    gain = found["step"].rdad.median / found[other].rdad.median
    precision = other.removeprefix("step in ")
    if gain > WORTH_IT:
        return f"precision={precision} would make a step {gain:.1f} times as fast on this machine."
    return f"precision={precision} would not pay here: a step would be {gain:.1f} times as fast."


def draw_chart(path: Path, rows: Sequence[Row], title: str) -> None:
    """Write a PNG: what an image costs in each part, in both programs, on a logarithmic axis."""
    import pandas as pd
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.images][::-1]  # the first at the top
    costs = {
        "the published recipe, plainly": [_milliseconds(row, row.plain) for row in shown],
        "rdad": [_milliseconds(row, row.rdad) for row in shown],
    }
    figure = Figure(figsize=(8, 0.36 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("milliseconds an image")
    pd.DataFrame(costs, [f"{row.name.strip()} {_ratio(row)}" for row in shown]).plot.barh(
        ax=axes, logx=True, color=["#c9c3b8", "#2f6f9f"], width=0.8, title=title
    )
    figure.savefig(path, dpi=130)


def _part(row: Row) -> dict[str, Any]:
    part: dict[str, Any] = asdict(row) | {"name": row.name.strip(), "ratio": row.ratio}
    part["rdad"]["median_s"] = row.rdad.median
    if row.plain:
        part["plain"]["median_s"] = row.plain.median
    return part


def _heading(cfg: DictConfig, machine: dict[str, Any]) -> str:
    height, width = cfg.image_size
    return (
        f"{machine['name']} ({machine['device']}, {machine['threads']} threads, torch "
        f"{machine['torch']}): matrix product {machine['gflop_s']:.0f} GFLOP/s in "
        f"{machine['precision']}\n{cfg.model.backbone}, {height} x {width}, batches of "
        f"{cfg.batch_size}, precision {machine['precision']}; the plain program in float32. "
        f"Medians of {cfg.rounds} rounds in turn, ms an image unless s is said."
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield LINE.format(*HEADINGS)
    group = ""
    for row in rows:
        if row.group != group:
            yield (group := row.group)
        rate = f"{row.images / row.rdad.median:.1f}" if row.images else ""
        memory = f"{row.rdad.peak_bytes / 2**20:.0f} MiB" if row.rdad.peak_bytes else ""
        costs = (_cost(row, row.rdad), _cost(row, row.plain))
        yield LINE.format(f"  {row.name}", *costs, _ratio(row), rate, memory).rstrip()


def _cost(row: Row, timing: Timing | None) -> str:
    if timing is None:
        return ""
    cost = _milliseconds(row, timing)
    if cost is None:
        return f"{timing.median:.2f} s"
    return f"{cost:.0f} ms" if cost >= 100 else f"{cost:.2g} ms" if cost < 1 else f"{cost:.3g} ms"


def _milliseconds(row: Row, timing: Timing | None) -> float | None:
    """An image's; None where no image is worked on."""
    return 1000 * timing.median / row.images if timing and row.images else None


def _ratio(row: Row) -> str:
    return f"{row.ratio:.1f} x" if row.ratio else ""

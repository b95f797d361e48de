"""What the figures say, in sentences; nothing that was not measured."""

from collections.abc import Sequence

from rdad.benchmark.machine import Machine
from rdad.benchmark.rows import Row

PIECES = ("bottleneck", "decoder", "loss", "optimiser")
WORTH_IT = 1.15  # a setting is worth changing from this ratio on


def conclusions(rows: Sequence[Row], machine: Machine, epochs: int) -> list[str]:
    """A few sentences, the most important first."""
    found = {row.name.strip(): row for row in rows}
    return [
        *_whole(found, epochs),
        _where_the_step_goes(found, machine),
        _other_precision(found),
    ]


def whole_seconds(found: dict[str, Row], epochs: int) -> tuple[float, float]:
    """rdad's and the plain program's, for a training of `epochs` and its evaluation.

    From empty caches: rdad pays once for the images and the encoder's features.
    """
    epoch, evaluation = found["epoch"], found["evaluation"]
    assert epoch.plain and evaluation.plain
    once = found["first use of the images"].ours.median + found["features, once"].ours.median
    ours = once + epochs * epoch.ours.median + evaluation.ours.median
    return ours, epochs * epoch.plain.median + evaluation.plain.median


def _whole(found: dict[str, Row], epochs: int) -> list[str]:
    epoch, evaluation = found["epoch"], found["evaluation"]
    ours, plain = whole_seconds(found, epochs)
    return [
        f"Training: {epoch.ratio:.1f} times the plain program's images a second in an epoch; "
        f"evaluation: {evaluation.ratio:.1f} times.",
        f"{epochs} epochs of {epoch.images} images and the evaluation of {evaluation.images}, from "
        f"empty caches, would take {ours:.0f} s instead of {plain:.0f} s ({plain / ours:.1f} x).",
    ]


def _where_the_step_goes(found: dict[str, Row], machine: Machine) -> str:
    step = found["step"]
    costs = {name: found[name].ours.median for name in PIECES}
    shares = {name: cost / sum(costs.values()) for name, cost in costs.items()}
    told = ", ".join(
        f"{name} {share:.0%}" for name, share in sorted(shares.items(), key=lambda item: -item[1])
    )
    text = f"A step consists of {told}"
    if step.ours.gflop and step.precision in machine.gflop_s:
        speed = step.ours.gflop / step.ours.median
        share = speed / machine.gflop_s[step.precision]
        text += f"; its arithmetic runs at {share:.0%} of what a large matrix product reaches here"
    return text + "."


def _other_precision(found: dict[str, Row]) -> str:
    name = next((name for name in found if name.startswith("step in ")), None)
    if name is None:
        return "This processor has no instructions for bf16: precision=float32 is the faster one."
    gain = found["step"].ours.median / found[name].ours.median
    precision = found[name].precision
    if gain > WORTH_IT:
        return f"precision={precision} would make a step {gain:.1f} times as fast on this machine."
    return f"precision={precision} would not pay here: a step would be {gain:.1f} times as fast."

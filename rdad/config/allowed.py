"""What a field of the schema allows, and how a message says it: ranges, names, texts, folders."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from omegaconf import MISSING

MOST_EPOCHS = 1_000_000  # beyond any training
MOST_STEPS = 1_000_000_000
MOST_DEVICES = 10_000  # and nodes: beyond any machine, and each is a process


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`; `open` names the ends that do not belong.

    Attributes:
        open: `(`, `)`, `()` or nothing, as mathematics writes an interval's ends.
    """

    low: float
    high: float = math.inf
    open: str = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.low if "(" in self.open else value >= self.low
        below = value < self.high if ")" in self.open else value <= self.high
        return above and below and value < math.inf

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low}" if self.open else f"{self.low} or more"
        if self.open == "()":
            return f"above {self.low} and below {self.high}"
        left, right = "(" if "(" in self.open else "[", ")" if ")" in self.open else "]"
        return f"in {left}{self.low}, {self.high}{right}"


@dataclass(frozen=True)
class Kind:
    """Values by what a sentence says of them, a function that tells them, and names among them."""

    said: str
    holds: Callable[[Any], bool]
    names: tuple[str, ...] = ()

    def __contains__(self, value: Any) -> bool:
        return self.holds(value)

    def __str__(self) -> str:
        return self.said


def number(low: float, high: float = math.inf, *, open: str = "", default: Any = MISSING) -> Any:  # noqa: A002
    """A field whose value, unless it is null, lies in this range; `default` as of `among`."""
    return among(Range(low, high, open), default)


def choice(*names: str, several: bool = False, node: bool = False, default: Any = MISSING) -> Any:
    """A field whose value is one of these; or a list of several; or a node, which is called.

    `default` is as of `among`.
    """

    def holds(value: Any) -> bool:
        if node and _is_node(value):
            return True
        listed = list(value) if several and _is_list(value) else [value]
        return bool(listed) and all(isinstance(one, str) and one in names for one in listed)

    return among(Kind(f"one of {', '.join(names)}", holds, names), default)


def text(said: str, *, node: bool = False, default: Any = MISSING) -> Any:
    """A field whose value is a text of one sign or more; or a node, which is called."""
    return among(Kind(said, lambda v: _is_text(v) or (node and _is_node(v))), default)


def folders(*, least: int = 0) -> Any:
    """A field of folders' names, which may be numbers, one or a list; null where `least` is 0.

    A node is what is called for a name.
    """

    def holds(value: Any) -> bool:
        listed = list(value) if _is_list(value) else [value]
        named = all(_is_text(one) or _is_whole(one) or _is_node(one) for one in listed)
        return (value is None and not least) or (named and len(listed) >= least)

    return among(Kind("a folder, or a list of folders in brackets", holds))


def named_lists(*names: str) -> Any:
    """A field of null, one of these names, or a node of lists of texts, each under a name."""

    def holds(value: Any) -> bool:
        if isinstance(value, Mapping):
            return all(_is_list(one) and all(map(_is_text, one)) for one in value.values())
        return value is None or value in names

    return among(Kind(f"one of {', '.join(names)}, null, or {{name: [type, …], …}}", holds))


def weights() -> Any:
    """A field of a text, null, or a node of texts by networks' names."""

    def holds(value: Any) -> bool:
        named = value.values() if isinstance(value, Mapping) else [value]
        return all(one is None or _is_text(one) for one in named)

    said = "a file or a name; null leaves the encoder untrained; {backbone: file, …}"
    return among(Kind(said, holds))


def sides() -> Any:
    """A field of a height and a width, whose range is checked where they are used."""
    return among(Kind("[height, width]", lambda v: _is_list(v) and all(map(_is_whole, v))))


def devices() -> Any:
    """A field of Lightning's devices: how many, or which."""
    return among(Kind(f"auto, -1, 1 to {MOST_DEVICES}, or a list of indices", _are_devices))


def among(values: Range | Kind, default: Any = MISSING) -> Any:
    """A field whose value, unless it is null and may be, is among these.

    Args:
        default: Of an option that came later: what configurations without it mean, so that with
            this value a training is the one that it was, see `rdad.config.parameters`.
    """
    return field(default=default, metadata={"allowed": values})


def _are_devices(value: Any) -> bool:
    """As Lightning takes them: a text may hold what else is a number, or numbers with commas."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}(,\d{1,9})*,?", value):
        numbers = [int(one) for one in value.split(",") if one]
        value = numbers if "," in value else numbers[0]
    if _is_list(value):
        indices = Range(0, MOST_DEVICES)
        inside = all(_is_whole(one) and one in indices for one in value)
        return bool(value) and inside and len(set(value)) == len(value)
    number = _is_whole(value) and (value == -1 or value in Range(1, MOST_DEVICES))
    return number or value == "auto"


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

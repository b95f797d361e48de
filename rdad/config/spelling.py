"""What a shell gives as key=value, in the spelling of Hydra's override grammar."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException

from rdad.config.mistakes import ConfigError

OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@]*=")
NAMES = {
    *("dataset.root", "dataset.file", "dataset.category", "dataset.normal", "dataset.normal_test"),
    *("dataset.defects", "dataset.masks", "model.weights", "model.start_from"),
    *("tracking.uri", "tracking.experiment", "hydra.run.dir", "hydra.sweep.dir"),
}
"""Keys of paths and names, whose values are taken as they stand."""

NAME_OR_NUMBERS = "dataset.ignore"  # a path, or a rectangle in brackets

TAKING_A_VALUE = {
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun"),
}
"""Options of Hydra's whose value stands behind them."""

OF_SWEEPS = re.compile(r"-m|--multirun|hydra\.mode=MULTIRUN|sweep=.+")


def spelled(arguments: Sequence[str]) -> list[str]:
    """Arguments as Hydra reads them, paths and names being taken as they stand.

    For paths and names too null, `${...}`, lists in brackets, values in quotes and, in a sweep,
    commas mean what they mean to Hydra. Overrides come last: Hydra reads none that an option, as
    -m, parts from the first ones.

    Raises:
        ConfigError: Hydra cannot read another key's value; says how to write it.
    """
    in_sweep = any(OF_SWEEPS.fullmatch(one) for one in arguments)
    before = ["", *arguments]
    is_override = [
        bool(OVERRIDE.match(one)) and last not in TAKING_A_VALUE
        for last, one in zip(before, arguments, strict=False)
    ]
    pairs = list(zip(arguments, is_override, strict=True))
    overrides = [_spelled(one, in_sweep) for one, found in pairs if found]
    return [*(one for one, found in pairs if not found), *overrides]


def literal(override: str) -> str:
    """Quoted, where Hydra's grammar would take signs in it for a function or a sweep."""
    try:
        if not _parsed(override).is_sweep_override():
            return override
    except HydraException:
        pass
    key, _, value = override.partition("=")
    return f"{key}={quoted(value)}"


def as_it_stands(override: str) -> str:
    """`literal`, which takes numbers among paths and names for texts, too."""
    of_names = _is_of_names(*override.partition("=")[::2])
    return literal(_spelled(override, in_sweep=False) if of_names else override)


def quoted(value: str) -> str:
    """A text as a value of Hydra's override grammar, whatever signs are in it.

    There backslashes stand for themselves, but for those before a quote.
    """
    escaped = re.sub(
        r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value
    )
    return f"'{escaped}'"


def _spelled(override: str, in_sweep: bool) -> str:
    key, _, value = override.partition("=")
    of_names = _is_of_names(key, value)
    try:
        parsed = _parsed(override)
        if not of_names or not _has_others(parsed.value()):
            return override
    except HydraException as error:
        if not of_names:
            raise ConfigError(
                f"{override}: {str(error).splitlines()[0]} (where it is meant as a text, it stands "
                f'in quotes: "{key}={quoted(value)}")'
            ) from error
    if value.startswith("[") and value.endswith("]"):
        return f"{key}=[{_each_quoted(value[1:-1])}]"
    return f"{key}={_each_quoted(value) if in_sweep else quoted(value)}"


def _is_of_names(key: str, value: str) -> bool:
    name = key.lstrip("+")
    return name in NAMES or (name == NAME_OR_NUMBERS and not value.startswith("["))


def _each_quoted(values: str) -> str:
    """A text between commas, each in quotes that it may have already."""
    parts = [part.strip() for part in values.split(",")]
    return ",".join(part if part[:1] in ("'", '"') else quoted(part) for part in parts)


def _has_others(value: Any) -> bool:
    """Whether Hydra reads something else in it than texts: a number, yes or no."""
    if isinstance(value, ChoiceSweep):
        value = value.list
    if isinstance(value, list):
        return any(map(_has_others, value))
    return isinstance(value, int | float)


def _parsed(override: str) -> Override:
    return OverridesParser.create().parse_override(override)

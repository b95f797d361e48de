"""What is refused, in one sentence: what was typed, and what comes nearest to it."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from rdad.config.schema import TrainerConfig

NEAR = 0.6  # of difflib's ratio; 1 is the same
NOT_THERE = re.compile(r"Could not delete from config\. '([^']+)' does not exist")  # of `~key`
TYPED = re.compile(r"Could not override '([^']+)'")
MERGING = "Error merging override "


class ConfigError(ValueError):
    """A configuration that cannot be run; the message says what is wrong and what is allowed."""


def explained(
    error: Exception, groups: Iterable[str] = (), whole: Callable[[], DictConfig] | None = None
) -> str:
    """An error of composing a configuration, for whoever typed it.

    Hydra's own words advise to add a mistyped key with +, which would do nothing.

    Args:
        groups: Names of groups, which may have been meant too.
        whole: Composes the same with nothing deleted.
    """
    if whole is not None and (deleted := NOT_THERE.search(str(error))):
        near = nearest(deleted[1], [*groups, *_keys(OmegaConf.to_container(whole()))])
        return f"~{deleted[1]}: there is no {deleted[1]}" + (
            f"; did you mean ~{near}?" if near else ""
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        missing, known = str(error.missing_cfg_file), error.options
        group, _, option = missing.rpartition("/")
        said = f"{group}={option}: there is no '{missing}'{hint(option, known)}"
        return f"{said}; {group} has {', '.join(known)}"
    cause, said = error.__cause__ or error.__context__ or error, str(error)
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
        typed = TYPED.match(said)
        place = "" if typed or cause is error else f"{said.splitlines()[0]}: "
        return place + _no_such(typed[1] if typed else cause.full_key, cause, groups)
    lines = dict.fromkeys([*said.splitlines(), *str(cause).splitlines()])
    told = [one.removeprefix(MERGING) for one in lines if not one.startswith(("To append", "    "))]
    first, *further = [one.strip().rstrip(".:") for one in told if one.strip()] or [""]
    return first + (f": {'; '.join(further)}" if further else "")


def hint(found: object, allowed: Iterable[str]) -> str:
    """As " (did you mean add?)"; empty where nothing comes near."""
    near = nearest(str(found), allowed)
    return f" (did you mean {near}?)" if near else ""


def nearest(found: str, known: Iterable[str]) -> str | None:
    """The dotted key, or name, that was meant: of those spelt alike, or that end the same."""
    place, _, name = found.rpartition(".")
    best, chosen = (0.0, 0.0, 0), None
    for key in known:
        other_place, _, other = key.rpartition(".")
        names, places = _ratio(name, other), _ratio(place, other_place) if place else 1.0
        likeness = (names, places, -key.count("."))
        if key != found and (names == 1 or min(names, places) >= NEAR) and likeness > best:
            best, chosen = likeness, key
    return chosen


def _no_such(typed: str, cause: OmegaConfBaseException, groups: Iterable[str]) -> str:
    root = cause.parent_node._get_root() if cause.parent_node is not None else None
    place, _, name = typed.rpartition(".")
    if place == "trainer" and name in TrainerConfig.FURTHER:
        return f"{typed} is one of Lightning's own, which a + sets: +{typed}=…"
    plain = OmegaConf.to_container(root) if isinstance(root, DictConfig) else {}
    known = [one for one in _keys(plain) if typed.startswith("hydra") or "hydra" not in one]
    separator = "/" if "/" in typed else "."
    near = nearest(typed.replace("/", "."), [*groups, *known])
    if near:
        return f"there is no {typed}; did you mean {near.replace('.', separator)}?"
    node = OmegaConf.select(root, place) if isinstance(root, DictConfig) and place else root
    if not isinstance(node, DictConfig):
        return f"there is no {typed}"
    of = f"{place} ({node._target_})" if "_target_" in node else place or "the configuration"
    return (
        f"there is no {typed}; {of} has {', '.join(str(key) for key in node if key != '_target_')}"
    )


def _keys(plain: Any, place: str = "") -> Iterator[str]:
    """All of a configuration's, dotted."""
    for key, value in plain.items() if isinstance(plain, Mapping) else ():
        yield f"{place}{key}"
        yield from _keys(value, f"{place}{key}.")


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()

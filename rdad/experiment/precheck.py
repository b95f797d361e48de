"""What a command line asks for, refused where it cannot run before Hydra makes a folder for it."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, ValueType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import InterpolationResolutionError

from rdad.config.checks import check, check_places, one_of
from rdad.config.compose import CONF_DIR, change, composed, with_chosen_weights
from rdad.config.mistakes import ConfigError, explained
from rdad.tracking.store import Store

TRACKER = "rdad.tracking.MlflowTracker"
SHOWN = ("help", "cfg", "info")  # what a command line shows, and runs nothing
OTHERWISE = ("hydra_help", "shell_completion", "config_name", "config_path", "package")
OF_PLACES = ("dataset", "model.weights", "backbone", "experiment")
MOST_VALUES = 50  # of a key that is swept over; further ones are their jobs' own


def check_groups(arguments: Sequence[str]) -> None:
    """Refuse what Hydra has no clear word for: a group set to null, and values of no tracking.

    Raises:
        ConfigError: names the group's options, or what has nothing to act on.
    """
    of_tracking = [one for one in arguments if one.startswith("tracking.")]
    if of_tracking and "tracking=off" in arguments:
        raise ConfigError(f"tracking=off leaves nothing for {of_tracking[0]} to act on")
    for one in arguments:
        group, _, option = one.partition("=")
        if "null" in option.split(",") and (CONF_DIR / group).is_dir():
            options = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
            raise ConfigError(f"{one}: choose one of {', '.join(options)}, or leave it out")


def check_command(arguments: Sequence[str]) -> DictConfig | None:
    """Check what `python -m rdad.train` is given; in a sweep each value by itself.

    Returns:
        The first job's configuration, with Hydra's node; None where Hydra alone can compose it.

    Raises:
        ConfigError: there is no such key, group or option, or a value is not allowed.
        FileNotFoundError: a folder or file that all jobs need is not there.
    """
    given = get_args_parser().parse_args(list(arguments))
    if any(getattr(given, name) for name in OTHERWISE):
        return None
    texts = list(given.overrides)
    if given.config_dir:
        texts.append(f"hydra.searchpath=['file://{Path(given.config_dir).absolute()}']")
    asked = _parsed(texts)
    cfg = composed("train", _firsts(asked), with_hydra=True)
    named = cfg.hydra.sweeper.get("params") or {}
    if named:
        more = _parsed([f"{key}={value}" for key, value in named.items()])
        known = {one.key_or_group for one in asked}
        asked = [*(one for one in more if one.key_or_group not in known), *asked]
        cfg = composed("train", _firsts(asked), with_hydra=True)
    swept = [one for one in asked if one.is_sweep_override()]
    if swept and not (given.multirun or cfg.hydra.mode == RunMode.MULTIRUN):
        raise ConfigError(
            f"{swept[0].input_line}: several values are a sweep, which -m asks for; a list stands "
            "in brackets, one text in quotes"
        )
    if not any(getattr(given, name) for name in SHOWN):
        _check_jobs(deepcopy(cfg), swept)
    return cfg


def check_surroundings(cfg: DictConfig) -> None:
    """Whether what a checked configuration names is there; a store only by its address.

    Raises:
        ConfigError, FileNotFoundError: as `check_places`, or the store's address is none.
    """
    check_places(cfg)
    if cfg.tracking and cfg.tracking._target_ == TRACKER:
        try:
            Store(cfg.tracking.uri)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _check_jobs(cfg: DictConfig, swept: Sequence[Override]) -> None:
    folders = [str(one).removeprefix("file://") for one in cfg.hydra.searchpath]
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    try:
        check(cfg)
        if not cfg.resume and not any(one.key_or_group.startswith(OF_PLACES) for one in swept):
            check_surroundings(with_chosen_weights(cfg))
        for one in swept:
            _check_values(cfg, one, [CONF_DIR, *map(Path, folders)])
    except ConfigError as error:
        if type(error.__cause__) is not InterpolationResolutionError:
            raise  # else it is for Hydra's run to know, as ${hydra:job.num}


def _check_values(cfg: DictConfig, swept: Override, folders: Sequence[Path]) -> None:
    key = swept.key_or_group
    options = {path.stem for folder in folders for path in (folder / key).glob("*.yaml")}
    for value in islice(_values(swept), MOST_VALUES):
        if not options:
            changed = deepcopy(cfg)
            change(changed, [f"{key}={value}"], force_add=swept.is_add())
            check(changed)
        elif not any(":" in str(folder) for folder in folders):  # as pkg://, which is no folder
            one_of(key, value, sorted(options))


def _parsed(texts: list[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        raise ConfigError(explained(error)) from error


def _firsts(asked: Sequence[Override]) -> list[str]:
    """The overrides of the first job; without those whose values Hydra alone can list."""
    texts = []
    for one in asked:
        if not one.is_sweep_override():
            texts.append(str(one.input_line))
        elif (value := next(_values(one), None)) is not None:
            texts.append(f"{one.get_key_element()}={value}")
    return texts


def _values(swept: Override) -> Iterator[str]:
    """Of an interval its ends."""
    if swept.value_type == ValueType.GLOB_CHOICE_SWEEP:
        return iter(())
    if isinstance(interval := swept.value(), IntervalSweep):
        return map(str, (interval.start, interval.end))
    return swept.sweep_string_iterator()

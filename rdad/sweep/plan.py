"""What a sweep will run: how many jobs, in folders of what names, with which strategies."""

import json
import math
import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rdad.config.mistakes import ConfigError

RESUME = "resume"  # what a launcher adds to a job that it starts again, in the same folder
EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
IN_ONE_COMMAND = ("spawn", "fork", "notebook")  # start their processes without the command line


class JobFolders(Callback):
    """Leaves what all jobs have in common out of `hydra.job.override_dirname`.

    Hydra puts every word of the command line into it, so that one data root gives each job a
    folder in a folder. What varies but is no plain word (a path, a list) is left out too; the
    job's number remains.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        given = overrides(config)
        named = {key for key, one in given.items() if one.is_sweep_override() and _is_plain(one)}
        left_out = sorted({RESUME, *given} - named)
        with read_write(config), open_dict(config):
            config.hydra.overrides.hydra.append(f"{EXCLUDED}={json.dumps(left_out)}")


def overrides(config: DictConfig) -> dict[str, Override]:
    """A sweep's overrides of the task by their keys: a named sweep's, and the command line's,
    which win."""
    named = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [f"{key}={value}" for key, value in named.items()] + [*config.hydra.overrides.task]
    parsed = OverridesParser.create().parse_overrides(texts)
    return {one.key_or_group: one for one in parsed}


def planned_jobs(config: DictConfig) -> int | None:
    """How many jobs the overrides ask for; None where only the sweeper knows."""
    if config.hydra.sweeper._target_ != BASIC_SWEEPER:
        return None
    varied = [one for one in overrides(config).values() if one.is_sweep_override()]
    if any(_is_glob(one) or not one.is_discrete_sweep() for one in varied):
        return None
    return math.prod(len(list(one.sweep_string_iterator())) for one in varied)


def check_strategy_in_sweep(strategy: str, devices: Any) -> None:
    """Refuse what starts the command again on each device: in a sweep, that is all its jobs.

    Args:
        strategy, devices: As of Lightning's Trainer.

    Raises:
        ConfigError: the strategy is of that kind.
    """
    several = strategy == "auto" and not _is_one(devices)  # Lightning then takes ddp
    named = strategy.startswith(("ddp", "fsdp", "deepspeed"))
    if several or (named and not any(word in strategy for word in IN_ONE_COMMAND)):
        raise ConfigError(
            f"trainer.strategy={strategy} with trainer.devices={devices} starts the command again "
            "for each device, and in a sweep each of them would run all jobs; give each job one "
            "device (trainer=gpu), several at a time with hydra/launcher=parallel"
        )


def _is_plain(override: Override) -> bool:
    """Whether all values can stand in a folder's name, and that name on a command line."""
    if override.is_interval_sweep() or _is_glob(override):
        return True
    return all(re.fullmatch(r"[\w.+-]+", value) for value in override.sweep_string_iterator())


def _is_glob(override: Override) -> bool:
    """Whether its values are all options that a pattern fits, which takes Hydra's own loader."""
    return override.value_type == ValueType.GLOB_CHOICE_SWEEP


def _is_one(devices: Any) -> bool:
    """A number of devices, or a list of their indices."""
    return devices in (1, "1") or (not isinstance(devices, str | int) and len(devices) == 1)

"""What the folders of a sweep's jobs are named after: what varies, and nothing else."""

import json
import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

RESUME = "resume"  # what a launcher adds to a job that it starts again, in the same folder
EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"


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


def _is_plain(override: Override) -> bool:
    """Whether all values can stand in a folder's name, and that name on a command line."""
    if override.is_interval_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        return True
    return all(re.fullmatch(r"[\w.+-]+", value) for value in override.sweep_string_iterator())


def overrides(config: DictConfig) -> dict[str, Override]:
    """A sweep's overrides of the task by their keys: a named sweep's, and the command line's,
    which win."""
    named = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [f"{key}={value}" for key, value in named.items()] + [*config.hydra.overrides.task]
    parsed = OverridesParser.create().parse_overrides(texts)
    return {one.key_or_group: one for one in parsed}

"""`resume=<run folder>` and `resume_sweep=<sweep folder>`: the stopped command, given again.

Hydra keeps a run's overrides in its folder. The command is given again with them, into the same
folder, with resume=true: finished runs return at once, others go on from their last checkpoint.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rdad.config import CONF_DIR, ConfigError

OPTIONAL_GROUPS = ("experiment", "sweep")
RUN_KEY, SWEEP_KEY = "resume", "resume_sweep"
RUN_FILE, SWEEP_FILE = Path(".hydra") / "overrides.yaml", Path("multirun.yaml")


def replayed(arguments: Sequence[str]) -> list[str]:
    """The arguments with a `resume=` or `resume_sweep=` replaced by what it stands for.

    Further arguments stay, and win over those that are replayed.

    Raises:
        FileNotFoundError: the folder was not made by a run, or by a sweep.
        ConfigError: both are given.
    """
    given = [one for one in arguments if one.partition("=")[0] in (RUN_KEY, SWEEP_KEY)]
    if not given or given[0] in ("resume=true", "resume=false"):
        return list(arguments)
    if len(given) > 1:
        raise ConfigError(f"one {RUN_KEY}= or {SWEEP_KEY}= at a time; found {' '.join(given)}")
    further = [one for one in arguments if one != given[0]]
    key, _, folder = given[0].partition("=")
    replay = _run if key == RUN_KEY else _sweep
    return [*replay(Path(folder)), "resume=true", *further]


def check_groups(arguments: Sequence[str]) -> None:
    """Hydra answers a group that is set to null with a traceback of its own.

    Raises:
        ConfigError: names the group's options.
    """
    for one in arguments:
        group, _, option = one.partition("=")
        if option == "null" and group not in OPTIONAL_GROUPS and (CONF_DIR / group).is_dir():
            options = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
            raise ConfigError(f"{one}: choose one of {', '.join(options)}")


def _run(folder: Path) -> list[str]:
    if not (folder / RUN_FILE).is_file():
        raise FileNotFoundError(f"no {RUN_FILE} in {folder}; {RUN_KEY}= takes the folder of a run")
    overrides = OmegaConf.to_container(OmegaConf.load(folder / RUN_FILE))
    return [*_without_resume(overrides or []), f"hydra.run.dir={_quoted(folder)}"]


def _sweep(folder: Path) -> list[str]:
    if not (folder / SWEEP_FILE).is_file():
        raise FileNotFoundError(
            f"no {SWEEP_FILE} in {folder}; {SWEEP_KEY}= takes the folder of a sweep"
        )
    overrides = OmegaConf.load(folder / SWEEP_FILE).hydra.overrides
    kept = [
        one for one in overrides.hydra if not one.startswith(("hydra.mode=", "hydra.sweep.dir="))
    ]
    return [
        "--multirun",
        *_without_resume(overrides.task),
        *kept,
        f"hydra.sweep.dir={_quoted(folder)}",
    ]


def _without_resume(overrides: Iterable[Any]) -> list[str]:
    return [str(one) for one in overrides if one != "resume=true"]


def _quoted(folder: Path) -> str:
    """A path as a value of Hydra's override grammar."""
    escaped = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

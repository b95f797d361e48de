"""`resume=<run folder>` and `resume_sweep=<sweep folder>`: the stopped command, given again.

Hydra keeps a run's overrides in its folder. The command is given again with them, into the same
folder, with resume=true: finished runs return at once, others go on from their last checkpoint.
"""

import logging
import math
import re
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rdad.config.foreign import plain_overrides
from rdad.config.mistakes import ConfigError
from rdad.config.parameters import later_options, parameters
from rdad.config.spelling import quoted
from rdad.data.joint import label
from rdad.model.precision import AUTO
from rdad.runs.files import read_metrics
from rdad.runs.names import expanded
from rdad.runs.record import (
    NOWHERE,
    OVERRIDES_FILE,
    RECORD_FILE,
    overrides,
    read_record,
    read_yaml,
)

log = logging.getLogger(__name__)

RUN_KEY, SWEEP_KEY = "resume", "resume_sweep"
SWEEP_FILE = Path("multirun.yaml")
OF_THE_ATTEMPT = (RUN_KEY, "hydra.mode", "hydra.sweep.dir")


def replayed(arguments: Sequence[str]) -> list[str]:
    """The arguments with a `resume=` or `resume_sweep=` replaced by what it stands for.

    Further arguments stay, and win over those that are replayed; of a run, they may change how and
    how long it goes on, but not what it trains, and nothing once it is finished.

    Raises:
        FileNotFoundError: the folder was not made by a run, or by a sweep.
        ConfigError: both are given, or the run is finished and further arguments would change it.
    """
    given = [one for one in arguments if one.partition("=")[0] in (RUN_KEY, SWEEP_KEY)]
    if not given or given[0] in ("resume=true", "resume=false"):
        return list(arguments)
    if len(given) > 1:
        raise ConfigError(f"one {RUN_KEY}= or {SWEEP_KEY}= at a time; found {' '.join(given)}")
    further = [one for one in arguments if one != given[0]]
    key, _, named = given[0].partition("=")
    folder = expanded(named)
    if key == SWEEP_KEY:
        return [*_sweep(folder, further), "resume=true", *further]
    _refuse_finished(folder, further)
    return [*_run(folder, further), "resume=true", *further]


def _refuse_finished(folder: Path, further: Sequence[str]) -> None:
    """Before Hydra writes down a configuration that the run never had."""
    changing = [one for one in further if not one.startswith(("hydra", "tracking"))]
    if not changing or not (folder / RECORD_FILE).is_file():
        return
    if read_record(folder)["status"] == "finished":
        raise ConfigError(
            f"{folder} is finished, and {' '.join(changing)} would make another run of it; "
            "start that one in a folder of its own"
        )


def finished_before(cfg: DictConfig, run_dir: Path) -> dict[str, Any] | None:
    """The fields of `rdad.RunResult` of a run that has come to its end before.

    Raises:
        ConfigError: it was another run's.
    """
    if not (run_dir / RECORD_FILE).is_file():
        return None
    if read_record(run_dir)["status"] != "finished":
        return None
    record = read_record(run_dir, "params")
    was, category = later_options() | record["params"], cfg.dataset.get("category")
    named = label(category) if category else str(was.get("category"))
    now = parameters(cfg, str(was.get("dataset")), named)
    changed = [
        f"{name}={now[name]} (was {was[name]})"
        for name in now
        if was.get(name, now[name]) != now[name] and (name, now[name]) != ("precision", AUTO)
    ]
    if changed:
        raise ConfigError(
            f"{run_dir} is finished, and with {', '.join(changed)} it would be another run; "
            "start that one in a folder of its own"
        )
    log.info("%s is finished: nothing to do", run_dir)
    from rdad.metrics.thresholds import Thresholds  # numpy is slow

    plain, tracking = record.get("thresholds"), record.get("tracking") or NOWHERE
    return {
        "metrics": read_metrics(run_dir),
        "output_dir": run_dir,
        "train_seconds": record.get("train_seconds", math.nan),
        "mlflow_run_id": tracking["run_id"],
        "tracking_error": tracking["error"],
        "thresholds": Thresholds.from_dict(plain) if plain else None,
    }


def _run(folder: Path, further: Sequence[str]) -> list[str]:
    if not (folder / OVERRIDES_FILE).is_file():
        raise FileNotFoundError(
            f"no {OVERRIDES_FILE} in {folder}; {RUN_KEY}= takes the folder of a run"
        )
    kept = _replayable(folder / OVERRIDES_FILE, overrides(folder), further)
    return [*kept, f"hydra.run.dir={quoted(str(folder))}"]


def _sweep(folder: Path, further: Sequence[str]) -> list[str]:
    if not (folder / SWEEP_FILE).is_file():
        raise FileNotFoundError(
            f"no {SWEEP_FILE} in {folder}; {SWEEP_KEY}= takes the folder of a sweep"
        )
    path = folder / SWEEP_FILE
    try:
        given = read_yaml(path)["hydra"]["overrides"]
        texts = [str(one) for one in [*given["task"], *given["hydra"]]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} does not hold what a sweep was given") from error
    kept = _replayable(path, texts, further)
    return ["--multirun", *kept, f"hydra.sweep.dir={quoted(str(folder))}"]


def _replayable(path: Path, texts: Sequence[str], further: Sequence[str]) -> list[str]:
    """Without what is said again, or is of the attempt; checked, as anybody may have written it."""
    again = {_key(one) for one in [*further, *OF_THE_ATTEMPT]}
    kept = [one for one in texts if _key(one) not in again]
    return plain_overrides(path, kept, conf_dirs=_conf_dirs(further))


def _conf_dirs(arguments: Sequence[str]) -> list[Path]:
    """The folders beside rdad's own that a command line takes groups from."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--config-dir", "-cd", type=Path, action="append", default=[])
    searched = [one for one in arguments if _key(one) == "hydra.searchpath"]
    named = re.findall(r"file://([^,'\"\]]+)", " ".join(searched))
    return [*parser.parse_known_args(arguments)[0].config_dir, *map(Path, named)]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")

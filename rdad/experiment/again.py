"""The command that goes on from a run with images that it took for defective and that are good."""

import json
import shlex
from pathlib import Path

from omegaconf import DictConfig

from rdad.runs.record import overrides

ALARMS_FILE = "false_alarms.txt"
OF_ITS_OWN = ("dataset.normal=", "model.start_from=", "resume=", "hydra.", "hydra/")
"""Overrides that are not repeated in the new command."""


def train_again(cfg: DictConfig, run_dir: Path) -> dict[str, str] | None:
    """The `command`, and the path of the `list` that it reads, both as a shell takes them.

    None where the data set takes no list of images.
    """
    if cfg.dataset._target_ != "rdad.data.folder":
        return None
    run_dir, normal = run_dir.absolute(), cfg.dataset.normal
    names = [normal] if isinstance(normal, str | int) else [*normal]
    listed = str(run_dir / ALARMS_FILE)
    given = json.dumps([*map(str, names), listed], ensure_ascii=False)
    kept = [one for one in overrides(run_dir) if not one.startswith(OF_ITS_OWN)]
    changed = [f"dataset.normal={given}", f"model.start_from={run_dir}"]
    command = shlex.join(["python", "-m", "rdad.train", *kept, *changed])
    return {"list": shlex.quote(listed), "command": command}

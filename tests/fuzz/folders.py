"""Folders that somebody else wrote: runs that are not what a run leaves, and data of any layout.

A command on such a folder gives its result or one message, runs nothing that the folder names, and
neither shows nor keeps what the folder only points at.
"""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from mlflow_stores import new_store

from fuzz import data_sets
from fuzz.box import SECRET
from fuzz.capture import called
from fuzz.changes import RAN
from fuzz.foreign_runs import change, own_run, parts
from fuzz.trials import REFUSED, RIGHT
from rdad.compare import main as compare
from rdad.config.checks import check
from rdad.config.compose import load_config
from rdad.evaluate import main as evaluate
from rdad.experiment.resume import finished_before, replayed
from rdad.export.__main__ import COMMAND as EXPORT
from rdad.export.__main__ import export
from rdad.predict.__main__ import COMMAND as PREDICT
from rdad.predict.__main__ import predict
from rdad.register import main as register
from rdad.upload import main as upload

RUN = "foreign"


def attempt(random: Random, folder: Path) -> str:
    if random.random() < 0.3:
        return data_sets.attempt(random, folder)
    shutil.copytree(own_run(), folder / RUN, copy_function=os.link)
    changed = [change(random, folder / RUN) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))]
    name = random.choice(list(COMMANDS))
    try:
        code, said = called(functools.partial(COMMANDS[name], folder / RUN))
        told = f"exit code {code} of {name} after {changed}: {said[-3000:]}"
    except (OSError, ValueError) as error:
        assert name in FUNCTIONS, f"{name} after {changed}"
        code, said = 1, str(error)
        told = f"{name} after {changed}: {said[-3000:]}"
    except Exception as error:
        raise AssertionError(f"{name} after {changed}") from error
    assert "Traceback" not in said, told
    assert SECRET not in said, told
    assert not list(folder.rglob(RAN)), told
    assert not [path for path in _files(folder) if SECRET.encode() in path.read_bytes()], told
    assert code in (0, 1, 2, 4), told
    assert changed or not code, told
    assert said.strip() or not code, told
    return REFUSED if code else RIGHT


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.name != "model.pt" or path.parent.name != RUN]


def _resume(folder: Path) -> int:
    cfg = load_config(*[one for one in replayed([f"resume={folder}"]) if "hydra" not in one])
    check(cfg)
    finished_before(cfg, folder)
    return 0


def _resume_sweep(folder: Path) -> int:
    return replayed([f"resume_sweep={folder}"]) is None


def _upload(folder: Path) -> int:
    store = new_store(folder.parent / "store")
    return upload([str(folder), f"--uri={store}"])


def _register(folder: Path) -> int:
    if code := _upload(folder):
        return code
    return register([str(folder), "name=x", "alias=y"])


COMMANDS: dict[str, Callable[[Path], int]] = {
    "evaluate": lambda folder: evaluate([str(folder), "output=out"]),
    "predict": lambda folder: PREDICT.main(
        predict, [str(folder), str(parts() / "good"), "output=out", "overlays=true", "maps=true"]
    ),
    "predict by model.pt": lambda folder: PREDICT.main(
        predict, [str(folder / "model.pt"), str(parts() / "good" / "0.png")]
    ),
    "export": lambda folder: EXPORT.main(
        export, [str(folder), "format=torch", "calls=0", "output=out"]
    ),
    "upload": _upload,
    "register": _register,
    "compare": lambda folder: compare([str(folder)]),
    "resume": _resume,
    "resume_sweep": _resume_sweep,
}
FUNCTIONS = ("resume", "resume_sweep")

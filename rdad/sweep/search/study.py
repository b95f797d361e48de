"""The Optuna study that a search keeps in a database, and the sampler that proposes from it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

SAMPLERS = ("tpe", "gp", "nsgaii", "random")
DIRECTIONS = ("maximize", "minimize")


def check_choice(key: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise ValueError(f"hydra.sweeper.{key} must be {' or '.join(allowed)}; found {found!r}")


def open_study(storage: str, study_name: str, directions: Sequence[str]) -> "Study":
    """The study of that name, made where there is none.

    Raises:
        ValueError: it has other directions, or the database cannot be opened.
    """
    import optuna
    from optuna.study import StudyDirection
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=study_name,
            directions=[StudyDirection[one.upper()] for one in directions],
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError) as error:
        raise ValueError(f"hydra.sweeper.storage {storage} cannot be opened: {error}") from error
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise ValueError(
            f"the study {study_name!r} in {storage} is to {', '.join(found)}; found "
            f"hydra.sweeper.direction {', '.join(directions)}; name another study_name or folder"
        )
    return study


def make_sampler(name: str, *, seed: int) -> "BaseSampler":
    """Made anew for each trial: what it remembers of earlier ones stands in the database."""
    from optuna import samplers

    if name == "tpe":  # constant_liar: trials of one batch keep away from each other
        return samplers.TPESampler(seed=seed, constant_liar=True)
    found = {"gp": "GPSampler", "nsgaii": "NSGAIISampler", "random": "RandomSampler"}[name]
    return getattr(samplers, found)(seed=seed)


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Keeps two processes out of one search's folder, where they would run the same trials.

    Raises:
        ValueError: another process is in it.
    """
    from filelock import FileLock, Timeout  # Hydra imports its plugins at each start

    try:
        with FileLock(folder / ".search.lock", timeout=0):
            yield
    except Timeout as error:
        raise ValueError(f"another process searches in {folder}") from error

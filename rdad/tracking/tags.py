"""Where a run came from: program versions, git commit, the sweep it belongs to."""

import getpass
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rdad.tracking.store import shown_uri

PARENT_VARIABLE = "RDAD_PARENT_RUN_ID"
"""Environment variable by which a sweep tells its jobs the run they belong to."""

PARENT_TAG = "mlflow.parentRunId"
FOLDER_TAG = "rdad.run_folder"
"""Where the run's folder is, on the machine that sent it."""

VERSIONS = ("rdad", "torch", "torchvision", "lightning")


def source_tags(overrides: Sequence[str] = (), program: str = "rdad.train") -> dict[str, str]:
    """Tags that say how to make the run again, for `run.json` and MLflow alike.

    The names that begin with `mlflow.` fill the columns User, Source and Version of MLflow's page.
    Outside a git checkout there is no commit; outside a sweep there is no parent.
    """
    tags = {
        "rdad.overrides": shown_uri(shlex.join(overrides)),
        "rdad.python": platform.python_version(),
        "mlflow.source.name": program,
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }
    tags |= {f"rdad.version.{name}": found for name in VERSIONS if (found := _version(name))}
    commit = git_commit()
    if commit is not None:
        tags["mlflow.source.git.commit"] = commit
    return tags | parent_tags()


def parent_tags() -> dict[str, str]:
    """The tag that puts a run below its sweep's run; empty outside a sweep."""
    parent = os.environ.get(PARENT_VARIABLE)
    return {PARENT_TAG: parent} if parent else {}


def git_commit(file: Path = Path(__file__)) -> str | None:
    """The commit of the checkout that `file` is part of; None for an installed package."""
    command = ["git", "-C", str(file.parent), "rev-parse", "HEAD", f"HEAD:./{file.name}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # there is no git, or no such file in it
        return None
    return done.stdout.split()[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"

"""`rdad <command>` is `python -m rdad.<command>`."""

import re
from pathlib import Path

import commands
import pytest

from rdad.__main__ import COMMANDS

PACKAGE = Path(__file__).parents[1] / "rdad"


def test_every_module_that_is_a_command_is_listed_and_no_other() -> None:
    found = {path.stem for path in PACKAGE.glob("*.py") if "__main__" in path.read_text()}
    found |= {path.parent.name for path in PACKAGE.glob("*/__main__.py")}
    assert found - {"__main__"} == set(COMMANDS)


def test_without_a_command_all_are_listed(tmp_path: Path) -> None:
    done = commands.run("-m", "rdad", folder=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"^  (\w+) ", done.stdout, flags=re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", ["train", "predict", "download"])
def test_a_command_shows_its_own_help(name: str, tmp_path: Path) -> None:
    done = commands.run("-m", "rdad", name, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"rdad.{name}" in done.stdout


def test_training_takes_its_overrides(tmp_path: Path) -> None:
    done = commands.run("-m", "rdad", "train", "--cfg", "job", "mode=multiply", folder=tmp_path)
    assert done.returncode == 0 and "anomaly_map_mode: multiply" in done.stdout


@pytest.mark.parametrize(
    ("name", "hint"), [("trian", "did you mean train?"), ("xyz", "allowed: train, evaluate")]
)
def test_a_command_that_is_not_there_gets_the_nearest(name: str, hint: str, tmp_path: Path) -> None:
    done = commands.run("-m", "rdad", name, folder=tmp_path)
    assert done.returncode == 1 and hint in done.stderr


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rdad tr", "train evaluate predict"),
        ("rdad predict o", "output= format= overlays="),
        ("rdad train mode=", "mode=add mode=multiply"),
    ],
)
def test_a_shell_completes_commands_options_and_groups(
    line: str, offered: str, tmp_path: Path
) -> None:
    query = ["-m", "rdad", "-sc", "query=bash"]
    done = commands.run(*query, folder=tmp_path, COMP_LINE=line)
    assert done.returncode == 0 and done.stdout.startswith(offered)
    assert not list(tmp_path.iterdir())


def test_completion_is_installed_for_the_short_name(tmp_path: Path) -> None:
    done = commands.run("-m", "rdad", "-sc", "install=bash", folder=tmp_path)
    assert done.stdout.rstrip().endswith("-F hydra_bash_completion rdad")

"""A wheel of the project works outside the checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
DOCKERFILE = (REPO / "deploy" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = """
from pathlib import Path
from rdad.config import compose
from rdad import load_config
assert Path(compose.__file__).is_relative_to(Path({installed!r})), compose.__file__
cfg = load_config("backbone=wide_resnet50", "mode=multiply", "sweep=seeds")
print(cfg.model.backbone, cfg.model.anomaly_map_mode, compose.CONF_DIR)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of no more than deploy/Dockerfile copies, as its image is."""
    folder, context = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("context")
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE.split("RUN pip")[0], flags=re.MULTILINE)
    for name in {name for line in lines for name in line.split()[:-1]}:
        copy = shutil.copytree if (REPO / name).is_dir() else shutil.copy
        copy(REPO / name, context / name)
    build = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [sys.executable, *build, "--wheel-dir", str(folder), str(context)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_whole_configuration_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    configured = {path.relative_to(REPO).as_posix() for path in (REPO / "conf").rglob("*.yaml")}
    assert {f"rdad/{name}" for name in configured} <= names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/"))]


def test_the_wheel_holds_the_parts_of_the_report(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    parts = [path for path in (REPO / "rdad/results/report/page").iterdir() if path.is_file()]
    assert {f"rdad/results/report/page/{path.name}" for path in parts} <= names
    assert {"page.html", "page.css", "main.js"} <= {path.name for path in parts}


def test_an_installed_wheel_composes_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:  # a wheel of pure Python is installed by unpacking
        archive.extractall(installed)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    composed = subprocess.run(
        [sys.executable, "-c", COMPOSE.format(installed=str(installed))],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert composed.returncode == 0, composed.stderr
    assert composed.stdout.startswith(f"wide_resnet50_2 multiply {installed}")
    command = subprocess.run(
        [sys.executable, "-m", "rdad.train", "--cfg", "job", "mode=multiply"],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert command.returncode == 0, command.stderr
    assert "anomaly_map_mode: multiply" in command.stdout
    assert list(empty.iterdir()) == []

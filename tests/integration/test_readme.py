"""Each command of the README is run, and what it promises holds."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", README, flags=re.MULTILINE)
SHORT = ["trainer.max_epochs=1", "dataset.image_size=[64,64]", "artifacts.overlays=1"]
PYTHON = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def execute(words: list[str], folder: Path, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def workplace(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's names mean something."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").mkdir()
    (folder / "data" / "mvtec_ad").symlink_to(assets / "data" / "mvtec_ad")
    (folder / "data" / "tile").symlink_to(assets / "data" / "magnetic_tile" / "tile")
    toothbrush = assets / "data" / "mvtec_ad" / "toothbrush"
    (folder / "photos").mkdir()
    (folder / "photos" / "good").symlink_to(toothbrush / "train" / "good")
    (folder / "photos" / "bad").symlink_to(toothbrush / "test" / "defective")
    (folder / "new").symlink_to(toothbrush / "test" / "good")
    return folder


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("python -m ")])
def test_a_command_of_the_readme_runs(
    command: str, workplace: Path, resnet18_weights: Path
) -> None:
    words = [sys.executable, *shlex.split(command)[1:]]
    if "rdad.train" in words:
        words += SHORT
        if "backbone=resnet18" in command:
            words.append(f"model.weights={resnet18_weights}")
        if "sweep=backbone_mode" in words:  # without a download of the other encoder's weights
            words += ["model.weights=null", "artifacts.maps=false"]
    if "rdad.compare" in words:  # of the sweep that an earlier command made
        words[-1] = str(max((workplace / "multirun").glob("*/*")))
    if "rdad.export" in words:
        words.append("calls=0")
    if "rdad.benchmark" in words:
        words += ["image_size=[64,64]", "batch_size=2", "images=4", "rounds=1"]
    execute(words, workplace)


def test_the_make_targets_of_the_readme_run_what_it_says() -> None:
    targets = [one.split()[1] for one in COMMANDS if one.startswith("make ")]
    assert targets == ["demo", "test"]
    planned = execute(["make", "--dry-run", "--always-make", *targets], REPO).stdout
    assert "python -m rdad.train experiment=quick" in planned
    assert "python -m pytest" in planned


def test_every_command_of_the_readme_is_one_of_these() -> None:
    assert all(one.startswith(("make ", "python -m rdad.")) for one in COMMANDS)


def test_the_demo_learns_in_three_of_its_twelve_epochs(tmp_path: Path) -> None:
    demo = [sys.executable, "-m", "rdad.train", "experiment=quick", "hydra.run.dir=run"]
    execute([*demo, "trainer.max_epochs=3"], tmp_path)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test/image_auroc"] >= 0.8
    assert metrics["test/pixel_auroc"] >= 0.88
    assert (tmp_path / "mlflow.db").is_file()


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_of_the_readme_runs(code: str, tmp_path: Path) -> None:
    short = code.replace('trainer.max_epochs=12"', '", "'.join([*SHORT, 'trainer=cpu"']))
    assert short != code
    Image.new("RGB", (80, 60)).save(tmp_path / "photo.png")
    execute([sys.executable, "-c", short], tmp_path)


def test_links_and_pictures_of_the_readme_are_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPO / target).exists(), target


def test_the_groups_of_the_readme_are_those_of_the_configuration() -> None:
    hidden = {"hydra", "optimizer"}
    groups = {path.name for path in (REPO / "conf").iterdir() if path.is_dir()} - hidden
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w –,]+) \|", README, flags=re.MULTILINE))
    assert groups <= rows.keys()
    for group in groups:
        options = {path.stem for path in (REPO / "conf" / group).glob("*.yaml")}
        assert options == set(rows[group].replace("–, ", "").split(", ")), group

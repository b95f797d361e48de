"""Each command of the README and the pages in docs/ is run, and what they promise holds."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import commands
import pytest
from image_folders import link_few
from mlflow_stores import new_store
from omegaconf import OmegaConf
from PIL import Image

from rdad import load_config

REPO = Path(__file__).parents[2]
PAGES = {
    path.relative_to(REPO).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *(REPO / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *sorted((REPO / "docs").glob("*.md")),
        *sorted((REPO / "examples").rglob("*.md")),
        REPO / "multirun" / "README.md",
    )
}
TEXT = "\n".join(PAGES.values())
COMMANDS = list(dict.fromkeys(re.findall(r"^\$ (.+)$", TEXT, flags=re.MULTILINE)))
MAKE = [one for one in COMMANDS if one.startswith("make ")]
ELSEWHERE = [  # see test_own_parts and test_benchmark
    one for one in COMMANDS if "--config-dir" in one or "rdad.benchmark" in one
]
RUN = [one for one in COMMANDS if one not in [*MAKE, *ELSEWHERE]]
SHORT = [
    "trainer.max_epochs=1",
    "dataset.image_size=[64,64]",
    "artifacts.overlays=1",
    "layers=layer1",
]
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def execute(words: list[str], folder: Path, *, charts: bool = False) -> None:
    """`words` are what follows `python`."""
    done = commands.run(*words, folder=folder, timeout=600, charts=charts)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def workplace(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the pages' names mean something."""
    folder = tmp_path_factory.mktemp("docs")
    toothbrush = folder / "data" / "mvtec_ad" / "toothbrush"
    link_few(assets / "data" / "mvtec_ad" / "toothbrush", toothbrush)
    link_few(assets / "data" / "magnetic_tile" / "tile", folder / "data" / "tile")
    (folder / "photos").mkdir()
    (folder / "photos" / "good").symlink_to(toothbrush / "train" / "good")
    (folder / "photos" / "bad").symlink_to(toothbrush / "test" / "defective")
    (folder / "new").symlink_to(toothbrush / "test" / "good")
    new_store(folder)
    return folder


@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_pages_runs(command: str, workplace: Path, resnet18_weights: Path) -> None:
    words = shlex.split(command)[1:]
    if "rdad.train" in words:
        words += SHORT
        if "backbone=resnet18" in command:
            words.append(f"model.weights={resnet18_weights}")
        if "sweep=backbone_mode" in words:  # of one encoder, without a download of its weights
            words += ["backbone=resnet18", "model.weights=null"]
            words += ["artifacts.maps=false", "artifacts.report=false"]
    if "rdad.compare" in words:  # of the sweep that an earlier command made
        words[-1] = str(max((workplace / "multirun").glob("*/*")))
    if "rdad.export" in words:
        words.append("calls=0")
    execute(words, workplace)
    if "sweep=backbone_mode" in words:
        jobs = sorted(max((workplace / "multirun").glob("*/*")).glob("[0-9]*/metrics.json"))
        found = [json.loads(path.read_text())["test/image_auroc"] for path in jobs]
        assert len(found) == 2 and all(0 <= value <= 1 for value in found)


def test_the_make_targets_run_what_the_pages_say() -> None:
    targets = [one.split()[1] for one in MAKE]
    assert targets == ["demo", "test", "install", "quick"]
    plan = ["make", "--dry-run", "--always-make", *targets]
    planned = subprocess.run(plan, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert "python -m rdad.train experiment=quick" in planned
    assert "python -m pytest" in planned


def test_every_command_of_the_pages_is_one_of_these() -> None:
    assert all(one.startswith("python -m rdad.") for one in [*RUN, *ELSEWHERE])
    assert len(RUN) >= 8


def test_the_demo_learns_in_a_quarter_of_its_epochs_at_half_the_size(
    tmp_path: Path,
) -> None:
    demo = ["-m", "rdad.train", "experiment=quick", "hydra.run.dir=run"]
    execute([*demo, "trainer.max_epochs=3", "dataset.image_size=[128,128]"], tmp_path, charts=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test/image_auroc"] >= 0.8
    assert metrics["test/pixel_auroc"] >= 0.88
    assert (tmp_path / "mlflow.db").is_file()


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_of_the_pages_runs(code: str, tmp_path: Path) -> None:
    short = code.replace('trainer.max_epochs=12"', '", "'.join([*SHORT, 'trainer=cpu"']))
    assert short != code
    Image.new("RGB", (80, 60)).save(tmp_path / "photo.png")
    new_store(tmp_path)
    execute(["-c", short], tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_of_a_page_are_there(page: str) -> None:
    place = (REPO / page).parent
    for target, heading in LINK.findall(PAGES[page]):
        named = (place / target).resolve() if target else REPO / page
        assert named.exists(), target
        if heading:
            assert heading in headings(named.read_text(encoding="utf-8")), f"{target}#{heading}"


def headings(text: str) -> set[str]:
    """As GitHub names them in links."""
    found = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


def test_the_readme_is_read_in_one_sitting() -> None:
    assert PAGES["README.md"].count("\n") <= 200


def test_every_value_of_the_configuration_stands_in_the_settings() -> None:
    said = PAGES["docs/settings.md"] + PAGES["README.md"]
    names = keys(OmegaConf.to_container(load_config("tracking=mlflow")))
    unsaid = {name for name in names if not re.search(rf"\b{name}\b", said)}
    # of the Trainer, and what groups and commands set
    assert unsaid <= {"accelerator", "devices", "strategy", "num_nodes"}


def keys(node: Any) -> list[str]:
    """Of all values, however deep, less `_target_` and what groups and commands set."""
    if not isinstance(node, dict):
        return []
    own = [key for key, value in node.items() if not isinstance(value, dict)]
    below = [key for value in node.values() for key in keys(value)]
    unnamed = ("_target_", "resume", "input_size", "anomaly_map_mode")
    return [key for key in [*own, *below] if key not in unnamed]


def test_the_groups_of_the_readme_are_those_of_the_configuration() -> None:
    hidden = {"hydra", "optimizer"}
    groups = {path.name for path in (REPO / "conf").iterdir() if path.is_dir()} - hidden
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w –,]+) \|", PAGES["README.md"], flags=re.MULTILINE))
    assert groups <= rows.keys()
    for group in groups:
        options = {path.stem for path in (REPO / "conf" / group).glob("*.yaml")}
        assert options == set(rows[group].replace("–, ", "").split(", ")), group

"""What the command line says, and how soon, when it is asked for help or given a mistake."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "rdad.train"]


def called(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The finished command, and the processor seconds it took, which do not grow with the queue."""
    environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["mode=foo"], ["'mode/foo'", "add", "multiply"]),
        (["backbone=resnet19"], ["'backbone/resnet19'", "resnet18", "wide_resnet50", "timm"]),
        (["dataset.image_size=[250,256]"], ["250x256", "multiples of 32", "[256,256]"]),
        (["dataset=mvtec_ad"], ["dataset.category, dataset.root must be given"]),
        (["dataset.category=wood"], ["dataset.category", "brick, grass, gravel", "'wood'"]),
        (["model.bakbone=x"], ["'bakbone' not in 'ModelConfig'"]),
        (["seed=abc"], ["seed=abc", "Integer"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs must be 1 or more; found 0"]),
        (["dataset.batch_size='4'"], ["dataset.batch_size must be 4; found '4'"]),
        (["~dataset.validation"], ["dataset.validation must be given"]),
        (["mode"], ["'mode'"]),
    ],
    ids=lambda part: part[0],
)
def test_mistake_gets_one_message_at_once(
    arguments: list[str], messages: list[str], tmp_path: Path
):
    done, seconds = called(tmp_path, *arguments)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert not [message for message in messages if message not in output]
    assert "Traceback" not in output
    assert seconds < 2
    assert not list(tmp_path.glob("mlflow*"))


def test_help_shows_groups_with_options_and_three_examples_at_once(tmp_path: Path):
    done, seconds = called(tmp_path, "--help")
    assert done.returncode == 0 and not done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    groups = lines[: next(i for i, line in enumerate(lines) if line.startswith("Values"))]
    options = dict(line.split(": ", 1) for line in groups if ": " in line)
    assert options["mode"] == "add, multiply"
    assert "wide_resnet50" in options["backbone"] and "layer123" in options["layers"]
    assert options["dataset"] == "folder, mvtec_ad, textures"
    examples = lines[lines.index("Examples") + 1 : lines.index("Examples") + 4]
    assert all(example.startswith("python -m rdad.train ") for example in examples)
    assert seconds < 2
    assert not list(tmp_path.iterdir())


def test_examples_of_the_help_compose(tmp_path: Path):
    done, _ = called(tmp_path, "--help")
    examples = [line.split()[3:] for line in done.stdout.splitlines() if "rdad.train" in line]
    given = [[word for word in words if word != "-m"] for words in examples if "[" not in words[0]]
    assert len(given) == 3
    for words in given:
        single = [word.partition(",")[0] for word in words]
        composed, _ = called(tmp_path, "--cfg", "job", *single)
        assert composed.returncode == 0, composed.stderr


def test_cfg_job_prints_the_composed_configuration(tmp_path: Path):
    done, seconds = called(tmp_path, "--cfg", "job", "mode=multiply", "trainer.max_epochs=3")
    assert done.returncode == 0 and seconds < 2
    assert "anomaly_map_mode: multiply" in done.stdout and "max_epochs: 3" in done.stdout


def test_command_works_from_any_folder(tmp_path: Path):
    elsewhere = tmp_path / "with space"
    elsewhere.mkdir()
    done, _ = called(elsewhere, "--cfg", "job")
    assert done.returncode == 0

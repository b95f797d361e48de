"""What the command line says when it is asked for help or given a mistake."""

import subprocess
import sys
from pathlib import Path

import commands
import pytest


def called(folder: Path, *arguments: str) -> commands.Done:
    return commands.run("-m", "rdad.train", *arguments, folder=folder, HYDRA_FULL_ERROR=None)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["mode=foo"], ["'mode/foo'", "add", "multiply"]),
        (["backbone=resnet19"], ["'backbone/resnet19'", "resnet18", "wide_resnet50", "timm"]),
        (["dataset.image_size=[250,256]"], ["250x256", "multiples of 32", "[256,256]"]),
        (["dataset=mvtec_ad"], ["dataset.category, dataset.root must be given"]),
        (["dataset.category=wood"], ["dataset.category", "brick, grass, gravel", "'wood'"]),
        (
            ["model.bakbone=x"],
            ["rdad.train: there is no", "did you mean model.backbone?"],
        ),
        (["-m", "mode=add,multiplu"], ["found 'multiplu' (did you mean multiply?)"]),
        (["-m", "model.sigma=1,-1"], ["model.sigma must be in [0, 10000]; found -1"]),
        (["seed=1,2"], ["seed=1,2: several values are a sweep, which -m asks for"]),
        (["seed=abc"], ["seed=abc", "Integer"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs must be in [1, 1000000]; found 0"]),
        (["dataset.batch_size='4'"], ["dataset.batch_size must be 4; found '4'"]),
        (["~dataset.validation"], ["dataset.validation must be given"]),
        (["~mod"], ["rdad.train: ~mod: there is no mod; did you mean ~mode?"]),
        (["mode"], ["'mode'"]),
        (["hydra.run.dir=/proc/x"], ["cannot write into /proc/x: ", "folder by hydra.run.dir=…"]),
        (["compile=~x"], ["compile=~x: ", "in quotes: \"compile='~x'\""]),
        (
            ["dataset=mvtec_ad", "dataset.root=~/größe (2)", "dataset.category=4711"],
            ["/größe (2) "],
        ),
        (["tracking.uri=ftp://x"], ["tracking.uri is 'ftp://x'", "sqlite:///mlflow.db"]),
    ],
    ids=lambda part: part[0],
)
def test_mistake_gets_one_message(arguments: list[str], messages: list[str], tmp_path: Path):
    done = called(tmp_path, *arguments)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert not [message for message in messages if message not in output]
    assert "Traceback" not in output
    assert not list(tmp_path.iterdir())


def test_help_shows_groups_with_options_and_three_examples(tmp_path: Path):
    done = called(tmp_path, "--help")
    assert done.returncode == 0 and not done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    groups = done.stdout.replace("\n  ", " ").partition("\nValues")[0].splitlines()
    options = dict(line.split(": ", 1) for line in groups if ": " in line)
    assert options["mode"] == "add, multiply"
    assert "wide_resnet50" in options["backbone"] and "layer123" in options["layers"]
    assert options["dataset"].startswith("autovi, btad, dagm, folder, goodsad,")
    examples = lines[lines.index("Examples") + 1 : lines.index("Examples") + 4]
    assert all(example.startswith("python -m rdad.train ") for example in examples)
    assert not list(tmp_path.iterdir())


def test_examples_of_the_help_compose(tmp_path: Path):
    done = called(tmp_path, "--help")
    examples = [line.split()[3:] for line in done.stdout.splitlines() if "rdad.train" in line]
    given = [[word for word in words if word != "-m"] for words in examples if "[" not in words[0]]
    assert len(given) == 3
    for words in given:
        single = [word.partition(",")[0] for word in words]
        composed = called(tmp_path, "--cfg", "job", *single)
        assert composed.returncode == 0, composed.stderr


def test_cfg_job_prints_the_composed_configuration(tmp_path: Path):
    done = called(tmp_path, "--cfg", "job", "mode=multiply", "trainer.max_epochs=3")
    assert done.returncode == 0
    assert "anomaly_map_mode: multiply" in done.stdout and "max_epochs: 3" in done.stdout


def test_command_works_from_any_folder(tmp_path: Path):
    elsewhere = tmp_path / "with space"
    elsewhere.mkdir()
    done = called(elsewhere, "--cfg", "job")
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--cfg", "job"], ["dataset.category=wood"], ["tracking.uri=ftp://x"]]
)
def test_help_and_mistakes_import_nothing_slow(arguments: list[str], tmp_path: Path):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['rdad.train', *{arguments!r}]\n"
        "try:\n    runpy.run_module('rdad.train', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print('slow:', {'torch', 'lightning', 'mlflow', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "slow: set()"

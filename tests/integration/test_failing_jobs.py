"""Seven jobs of which five fail, each in its own way; then the causes go and five run."""

import re
import shutil
from pathlib import Path

import commands
import pandas as pd
import pytest
from image_folders import SIDE, make_category

from rdad.runs.record import read_record

TESTS = Path(__file__).parent.parent
JOBS = range(7)
SPOON, UNREADABLE, KILLED, OUT_OF_RANGE, DISK_FULL = FAILING = (1, 2, 3, 5, 6)
MARKER = "trouble"  # tests/trouble.py kills and fills while it stands
REASONS = {
    SPOON: "spoon",
    UNREADABLE: "003.png",
    KILLED: "killed",
    OUT_OF_RANGE: "model.sigma must be in [0, 10000]; found -1",
    DISK_FULL: "OSError: [Errno 27] File too large",
}


def write_experiments(folder: Path) -> None:
    """A file a job: mode, blur and category of seven experiments."""
    (folder / "experiment").mkdir(parents=True)
    special = {SPOON: ("spoon", 4), UNREADABLE: ("broken", 4), OUT_OF_RANGE: ("bolt", -1)}
    for number in JOBS:
        category, sigma = special.get(number, ("bolt", 1 + number // 2))
        write_experiment(folder, number, category, sigma)


def write_experiment(folder: Path, number: int, category: str, sigma: float) -> None:
    mode = ("add", "multiply")[number % 2]
    (folder / "experiment" / f"e{number}.yaml").write_text(
        "# @package _global_\n"
        f"defaults: [{{override /mode: {mode}}}]\n"
        f"dataset: {{category: {category}}}\n"
        f"model: {{sigma: {sigma}}}\n"
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the data, the experiments and all five causes of failure."""
    for category in ("bolt", "broken"):
        make_category(tmp_path / "data" / category)
    image = tmp_path / "data" / "broken" / "train" / "good" / "003.png"
    image.write_bytes(image.read_bytes()[:200])
    write_experiments(tmp_path / "conf")
    (tmp_path / MARKER).touch()
    return tmp_path


def train(place: Path, *arguments: str) -> commands.Done:
    variables = {"PYTHONPATH": str(TESTS), "RDAD_CACHE_DIR": str(place / "cache")}
    return commands.run("-m", "rdad.train", *arguments, folder=place, timeout=600, **variables)


def own(place: Path) -> list[str]:
    """What brings configuration and code along; a sweep's folder alone is not believed in it."""
    trouble = "+hydra.callbacks.trouble._target_=trouble.Trouble"
    return [f"hydra.searchpath=[file://{place}/conf]", trouble]


def start(place: Path) -> commands.Done:
    names = ",".join(f"e{number}" for number in JOBS)
    return train(
        place,
        "-m",
        f"experiment={names}",
        "hydra/launcher=parallel",
        *own(place),
        "hydra.sweep.dir=sweep",
        "backbone=resnet18",
        "model.weights=null",
        "layers=layer1",
        "dataset=mvtec_ad",
        "dataset.root=data",
        f"dataset.image_size=[{SIDE},{SIDE}]",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "artifacts.overlays=0",
        "artifacts.maps=false",
        "artifacts.report=false",
        "tracking=off",
    )


def remove_the_causes(place: Path) -> None:
    shutil.copytree(place / "data" / "bolt", place / "data" / "spoon")
    good = "train/good/003.png"
    shutil.copy(place / "data" / "bolt" / good, place / "data" / "broken" / good)
    write_experiment(place / "conf", OUT_OF_RANGE, "bolt", 4)
    (place / MARKER).unlink()


def job_number(name: object) -> int:
    return int(str(name).partition("_")[0])


def ended(place: Path) -> dict[int, str]:
    """When each job ended, by its number."""
    records = (place / "sweep").glob("*/run.json")
    return {
        job_number(path.parent.name): read_record(path.parent).get("ended", "") for path in records
    }


def test_two_results_five_reasons_one_table_and_resuming_runs_five(place: Path) -> None:
    done = start(place)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = re.findall(r"^(\d+)_[^\n]*: image AUROC [^\n]* trained in \d+ s$", done.stdout, re.M)
    assert len(lines) == 2  # one for each with a result, and none for its epochs
    assert "epoch 1/1" not in done.stdout + done.stderr
    frame = pd.read_csv(place / "sweep" / "comparison.csv", index_col="job")
    frame.index = frame.index.map(job_number)
    assert list(frame.index) == list(JOBS)
    lost = frame[frame["status"] != "finished"]
    assert tuple(lost.index) == FAILING
    assert frame["image_auroc"].notna().sum() == 2
    for number, reason in REASONS.items():
        assert reason in lost.loc[number, "reason"]
        (log,) = (place / "sweep").glob(f"{number}_*/train.log")
        assert str(log.relative_to(place)) in done.stdout
    assert "7 jobs: 2 finished, 4 failed, 1 running" in done.stdout
    assert "python -m rdad.train resume_sweep=sweep" in done.stdout
    before = ended(place)

    remove_the_causes(place)
    refused = train(place, "resume_sweep=sweep")
    assert refused.returncode == 1 and "say it again on the command line" in refused.stderr
    again = train(place, "resume_sweep=sweep", *own(place))
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr
    assert "7 jobs: 7 finished" in again.stdout
    after = ended(place)
    assert {number for number in after if after[number] != before.get(number)} == set(FAILING)

"""A run that is killed and resumed ends as one that was never stopped, to the last bit."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import Command

SETTINGS = [
    "backbone=resnet18",
    "model.weights=null",
    "layers=layer1",
    "dataset.image_size=[64,64]",
    "dataset.batch_size=24",
    "trainer=cpu",
    "trainer.max_epochs=5",
    "checkpoint_every_n_epochs=1",
    "reuse=false",
    "artifacts.overlays=0",
    "artifacts.maps=false",
    "artifacts.report=false",
]

KILLED_IN_A_CHECKPOINT = """
import os, signal
from pathlib import Path
import lightning
whole = lightning.Trainer.save_checkpoint
def half(trainer, path, *args, **kwargs):
    whole(trainer, path, *args, **kwargs)
    if trainer.current_epoch == 2:
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
lightning.Trainer.save_checkpoint = half
from rdad.train import command
command()
"""


def start(folder: Path, *arguments: str, program: str | None = None) -> Command:
    how = ["-c", program] if program else ["-m", "rdad.train"]
    return Command([*how, *arguments], folder)


def ended(process: Command) -> str:
    printed, errors = process.communicate()
    assert process.returncode == 0, printed + errors
    return printed


def kill_when(process: Command, ready: Callable[[], bool]) -> None:
    for _ in range(6000):
        if ready() or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def rows(run_dir: Path) -> int:
    history = run_dir / "history.csv"
    return len(history.read_text().splitlines()) - 1 if history.exists() else 0


def result(run_dir: Path) -> tuple[bytes, dict[str, torch.Tensor]]:
    model = torch.load(run_dir / "model.pt", weights_only=True)
    weights = {
        f"{part}.{name}": tensor
        for part in ("bottleneck", "decoder")
        for name, tensor in model[part].items()
    }
    return (run_dir / "scores.csv").read_bytes(), weights


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    ended(start(folder, *SETTINGS, "tracking=off", "hydra.run.dir=run"))
    return folder / "run"


def is_tested(run_dir: Path) -> bool:
    return (run_dir / "run.json").exists() and json.loads((run_dir / "run.json").read_text()).get(
        "trained", False
    )


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(lambda run: rows(run) >= 3, id="after the third epoch"),
        pytest.param(is_tested, id="in its test"),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    never_stopped: Path, tmp_path: Path, point: Callable[[Path], bool]
) -> None:
    run_dir = tmp_path / "run"
    process = start(tmp_path, *SETTINGS, "tracking=off", "hydra.run.dir=run")
    kill_when(process, lambda: point(run_dir))
    check_resumed(never_stopped, tmp_path)


def test_half_a_checkpoint_is_never_read(never_stopped: Path, tmp_path: Path) -> None:
    process = start(
        tmp_path, *SETTINGS, "tracking=off", "hydra.run.dir=run", program=KILLED_IN_A_CHECKPOINT
    )
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "run").glob(".draft-*.ckpt"))
    check_resumed(never_stopped, tmp_path)


def check_resumed(never_stopped: Path, folder: Path) -> None:
    ended(start(folder, "resume=run"))
    expected_scores, expected_weights = result(never_stopped)
    scores, weights = result(folder / "run")
    assert scores == expected_scores
    assert weights.keys() == expected_weights.keys()
    assert all(torch.equal(weights[name], expected_weights[name]) for name in weights)
    metrics = [
        (run_dir / "metrics.json").read_bytes() for run_dir in (never_stopped, folder / "run")
    ]
    assert metrics[0] == metrics[1]
    assert rows(folder / "run") == 5
    assert not (folder / "run" / "checkpoint.ckpt").exists()


def test_a_finished_run_is_not_run_again(never_stopped: Path) -> None:
    before = (never_stopped / "model.pt").stat().st_mtime_ns
    printed = ended(start(never_stopped.parent, "resume=run"))
    assert "nothing to do" in printed
    assert (never_stopped / "model.pt").stat().st_mtime_ns == before


def test_resuming_what_is_no_run_is_one_clear_message(tmp_path: Path) -> None:
    process = start(tmp_path, "resume=nowhere")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere" in errors
    assert "Traceback" not in errors

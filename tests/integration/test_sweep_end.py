"""How real sweeps end: with a store that is gone, and stopped by Ctrl-C."""

import json
import signal
import time
from pathlib import Path

from commands import Command

SMALL = [
    "model.weights=null",
    "layers=layer1",
    "dataset.image_size=[64,64]",
    "trainer=cpu",
    "artifacts.overlays=0",
    "artifacts.maps=false",
    "hydra.sweep.dir=sweep",
]


def start(folder: Path, *arguments: str, **variables: str) -> Command:
    return Command(["-m", "rdad.train", "-m", *SMALL, *arguments], folder, **variables)


def test_a_dead_store_costs_a_sweep_nothing_but_the_exit_code(tmp_path: Path) -> None:
    dead = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    sweep = start(tmp_path, "trainer.max_epochs=1", "mode=add", **dead)
    printed, errors = sweep.communicate(timeout=300)
    assert sweep.returncode == 3, errors
    assert "1 job: 1 finished" in printed
    assert "python -m rdad.upload sweep/0" in printed
    assert (tmp_path / "sweep" / "comparison.md").is_file()


def test_ctrl_c_ends_a_sweep_with_what_there_is(tmp_path: Path) -> None:
    sweep = start(tmp_path, "trainer.max_epochs=10000", "mode=add,multiply", "tracking=off")
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("sweep/0*/history.csv")) and time.monotonic() < deadline:
        assert sweep.poll() is None
        time.sleep(0.1)
    sweep.send_signal(signal.SIGINT)
    printed, errors = sweep.communicate(timeout=100)
    assert sweep.returncode == 130, errors
    assert "Traceback" not in errors
    assert "1 job: 1 interrupted, 1 not started" in printed
    assert "resume_sweep=sweep" in printed
    (record,) = tmp_path.glob("sweep/*/run.json")
    assert json.loads(record.read_text())["status"] == "interrupted"

"""Small trainings that are stopped at any moment, once or several times, and then resumed.

Each ends as one that was never stopped, to the last bit, and leaves nothing half written.
"""

import json
import shutil
import signal
import time
import traceback
from pathlib import Path
from random import Random

import torch
from commands import Command
from mlflow_stores import new_store, only_run

from fuzz.trials import RIGHT, Outcome

SETTINGS = (
    *("backbone=resnet18", "model.weights=null", "layers=layer1", "dataset.image_size=[64,64]"),
    *("dataset.batch_size=24", "trainer=cpu", "trainer.max_epochs=3", "reuse=false"),
    *("checkpoint_every_n_epochs=1", "artifacts.overlays=2", "artifacts.report=false"),
    "hydra.run.dir=run",
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STOPPED = {  # by an own handler; before it is there, by Python or the system
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGTERM: (128 + signal.SIGTERM, -signal.SIGTERM),
    signal.SIGINT: (128 + signal.SIGINT, 1, -signal.SIGINT),
}
HALF_WRITTEN = (".draft-*", "*.ckpt", ".lock", "*.partial", ".mlflow-*")


class Undisturbed:
    """The training that nobody stops, and how many seconds it takes."""

    def __init__(self, place: Path) -> None:
        self.cache, folder, started = place / "cache", place / "undisturbed", time.monotonic()
        _ended(_start(folder, self.cache, "tracking=off"))
        self.seconds = time.monotonic() - started
        self.result = _result(folder / "run", self.cache)

    def outcome(self, seed: int, place: Path) -> Outcome:
        started, folder, verdict = time.monotonic(), place / str(seed), RIGHT
        try:
            self._attempt(Random(f"kills {seed}"), folder)
        except Exception:
            verdict = traceback.format_exc()
        record = folder / "run" / "run.json"
        known = json.loads(record.read_text()) if record.is_file() else {}
        shutil.rmtree(folder, ignore_errors=True)
        seconds, peak = time.monotonic() - started, known.get("peak_memory_bytes", 0)
        return Outcome(seed, verdict, seconds, peak)

    def _attempt(self, random: Random, folder: Path) -> None:
        cache = self.cache if random.random() < 0.7 else folder / "cache"
        store = new_store(folder / "store") if random.random() < 0.2 else None
        tracking = f"tracking.uri={store}" if store else "tracking=off"
        done: list[str] = []
        for _ in range(random.choice([1, 1, 2, 3])):
            process, number = _start(folder, cache, tracking), random.choice(SIGNALS)
            seconds = random.uniform(0, 1.1 * self.seconds)
            _stop(process, number, seconds)
            done.append(f"{number.name} after {seconds:.2f} s: {process.returncode}")
        _ended(_start(folder, cache, tracking))
        told = ", ".join(done)
        found = _result(folder / "run", cache)
        other = [name for name, expected in self.result.items() if found[name] != expected]
        assert not other, f"other {other} after {told}"
        places = [folder / "run", cache] if cache != self.cache else [folder / "run"]
        left = [path for one in places for kind in HALF_WRITTEN for path in one.rglob(kind)]
        assert not [path for path in left if path.parent.name != "trainings"], (
            f"{left} after {told}"
        )
        assert not store or only_run(store).info.status == "FINISHED", f"MLflow's run after {told}"


def _start(folder: Path, cache: Path, tracking: str) -> Command:
    folder.mkdir(parents=True, exist_ok=True)
    begun = (folder / "run" / ".hydra" / "overrides.yaml").is_file()
    arguments = ["resume=run"] if begun else [*SETTINGS, tracking]
    return Command(["-m", "rdad.train", *arguments], folder, RDAD_CACHE_DIR=str(cache))


def _stop(process: Command, number: signal.Signals, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    if process.poll() is None:
        process.send_signal(number)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode in (0, *STOPPED[number]), f"{number.name}: {printed}{errors}"


def _ended(process: Command) -> None:
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, printed + errors
    assert "Traceback" not in errors, errors


def _result(run_dir: Path, cache: Path) -> dict[str, object]:
    """All of a run that must be the same, by what it is."""
    model = torch.load(run_dir / "model.pt", weights_only=True)
    weights = [
        tensor.numpy().tobytes()
        for part in ("bottleneck", "decoder", "encoder")
        for tensor in model[part].values()
    ]
    maps = sorted((run_dir / "anomaly_maps").rglob("*.tiff"))
    history = [row.split(",")[:2] for row in (run_dir / "history.csv").read_text().splitlines()]
    return {
        "scores": (run_dir / "scores.csv").read_bytes().replace(bytes(cache), b""),
        "metrics": (run_dir / "metrics.json").read_bytes(),
        "weights": weights,
        "thresholds": model["thresholds"],
        "maps": [path.read_bytes() for path in maps],
        "pictures": sorted(path.name for path in (run_dir / "overlays").iterdir()),
        "history": history,
    }

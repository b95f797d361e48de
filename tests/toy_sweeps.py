"""A small Hydra program with rdad's launchers and sweepers, whose jobs take no time."""

import json
from pathlib import Path
from typing import Any

import commands

from rdad.config.compose import CONF_DIR

CONFIG = """
x: 0.0
y: 0
kind: fine
resume: false
hydra:
  searchpath: ["file://CONF_DIR"]
  sweep: {dir: sweep, subdir: "${hydra.job.num}"}
"""

APP = """
import json, os, signal, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def note(**facts):
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "job.json").write_text(json.dumps(facts))

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(cfg):
    if cfg.kind == "broken":
        raise RuntimeError("broken on purpose")
    if cfg.kind == "killed" or (cfg.kind == "killed_once" and not cfg.resume):
        time.sleep(0.5)
        killed()
    again = Path("again")
    if cfg.kind == "killed_at_5" and HydraConfig.get().job.num == 5 and not again.exists():
        again.touch()
        killed()
    if cfg.kind.startswith("waits"):
        Path(f"here_{cfg.y}").write_text(str(os.getpid()))
        deadline = time.monotonic() + 200
        while not (Path("here_1").exists() and Path("here_2").exists()):
            assert time.monotonic() < deadline, "the other job has not started"
            time.sleep(0.05)
    threads = None
    if cfg.kind.endswith("threads"):
        import torch
        threads = torch.get_num_threads()
    note(process=os.getpid(), x=cfg.x, y=cfg.y, resume=cfg.resume, threads=threads)
    if cfg.kind == "undefined":
        return float("nan")
    if cfg.kind == "two":
        return [-(cfg.x - 1) ** 2, abs(cfg.x)]
    return cfg.y - (cfg.x - 1) ** 2

main()
"""


def make_app(folder: Path) -> Path:
    (folder / "config.yaml").write_text(CONFIG.replace("CONF_DIR", str(CONF_DIR)))
    (folder / "app.py").write_text(APP)
    return folder


def sweep(app: Path, *overrides: str, timeout: int = 300) -> commands.Done:
    return commands.run("app.py", "-m", *overrides, folder=app, timeout=timeout)


def jobs(app: Path, folder: str = "sweep") -> dict[int, dict[str, Any]]:
    """What the jobs that came to their end wrote down, by their numbers."""
    notes = (app / folder).glob("*/job.json")
    found = {int(path.parent.name): json.loads(path.read_text()) for path in notes}
    return dict(sorted(found.items()))

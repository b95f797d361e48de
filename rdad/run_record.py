"""run.json: what a run was, how it ended, where it is tracked. Written whole after each change."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rdad.run_files import write_text_atomic

RECORD_FILE = "run.json"
CONFIG_FILE = Path(".hydra") / "config.yaml"
OVERRIDES_FILE = Path(".hydra") / "overrides.yaml"


def run_name(cfg: DictConfig, category: str) -> str:
    """Short, for a row of a table: category, backbone, map mode, and layers where not all."""
    layers = sorted(set(cfg.model.layers))
    named = "" if len(layers) == 3 else " " + "+".join(layers)
    return f"{category} {cfg.model.backbone} {cfg.model.anomaly_map_mode}{named}"


def parameters(cfg: DictConfig, dataset: str, category: str) -> dict[str, str | int | float]:
    """What a reader of a results table asks about."""
    model = cfg.model
    return {
        "dataset": dataset,
        "category": category,
        "backbone": model.backbone,
        "layers": "+".join(sorted(set(model.layers))),
        "mode": model.anomaly_map_mode,
        "loss": model.loss,
        "weights": "none" if model.weights is None or not model.pre_trained else model.weights,
        "image_size": "x".join(map(str, model.input_size)),
        "tile": "x".join(map(str, cfg.dataset.tile or ["none"])),
        "sigma": model.sigma,
        "batch_size": cfg.dataset.batch_size,
        "max_epochs": cfg.trainer.max_epochs,
        "lr": model.lr,
        "precision": cfg.trainer.precision,
        "validation": cfg.dataset.validation,
        "seed": cfg.seed,
    }


class RunRecord:
    """The growing content of run.json; `status` is running, finished, interrupted or failed."""

    def __init__(self, run_dir: Path, **facts: Any) -> None:
        self.run_dir = run_dir
        self._content: dict[str, Any] = {"status": "running", "started": _now()}
        self.update(**facts)

    def __getitem__(self, fact: str) -> Any:
        return self._content[fact]

    def update(self, **facts: Any) -> None:
        self._content |= facts
        text = json.dumps(self._content, indent=2, ensure_ascii=False)
        write_text_atomic(self.run_dir / RECORD_FILE, text + "\n")

    def end(self, status: str, **facts: Any) -> None:
        self.update(status=status, ended=_now(), **facts)


def read_record(run_dir: Path) -> dict[str, Any]:
    """The content of a run's run.json.

    Raises:
        FileNotFoundError: `run_dir` is no run folder.
    """
    path = run_dir / RECORD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {RECORD_FILE} in {run_dir}; expected the folder of one run")
    return json.loads(path.read_text(encoding="utf-8"))


def write_config(run_dir: Path, cfg: DictConfig) -> None:
    """Keep the composed configuration where Hydra keeps it.

    What Hydra wrote of this run stays as it is; what is left of another run goes.
    """
    path, text = run_dir / CONFIG_FILE, OmegaConf.to_yaml(cfg)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    (run_dir / OVERRIDES_FILE).unlink(missing_ok=True)
    write_text_atomic(path, text)


def overrides(run_dir: Path) -> list[str]:
    """What the command line changed, as Hydra wrote it down; none outside the command line."""
    path = run_dir / OVERRIDES_FILE
    if not path.is_file():
        return []
    return [str(one) for one in OmegaConf.to_container(OmegaConf.load(path)) or []]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

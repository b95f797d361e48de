"""run.json: what a run was, how it ended, where it is tracked. Written whole after each change."""

import json
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from rdad.runs.files import now, write_json, write_text_atomic

RECORD_FILE = "run.json"
CONFIG_FILE = Path(".hydra") / "config.yaml"
OVERRIDES_FILE = Path(".hydra") / "overrides.yaml"


class RunRecord:
    """The growing content of run.json; `status` is running, finished, interrupted or failed."""

    def __init__(self, run_dir: Path, **facts: Any) -> None:
        self.run_dir = run_dir
        self._content: dict[str, Any] = {"status": "running", "started": now()}
        self.update(**facts)

    @classmethod
    def open(cls, run_dir: Path) -> Self:
        """The record that is there, to be added to.

        Raises:
            FileNotFoundError, ValueError: as `read_record`.
        """
        record = cls.__new__(cls)
        record.run_dir, record._content = run_dir, read_record(run_dir)
        return record

    def __getitem__(self, fact: str) -> Any:
        return self._content[fact]

    def update(self, **facts: Any) -> None:
        self._content |= facts
        write_json(self.run_dir / RECORD_FILE, self._content)

    def end(self, status: str, **facts: Any) -> None:
        self.update(status=status, ended=now(), **facts)


def read_record(run_dir: Path) -> dict[str, Any]:
    """The content of a run's run.json.

    Raises:
        FileNotFoundError: `run_dir` is no run folder.
        ValueError: the file holds something else than a record.
    """
    path = run_dir / RECORD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {RECORD_FILE} in {run_dir}; expected the folder of one run")
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("status"), str):
        raise ValueError(f"{path} is no record of a run: it says no status")
    return content


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

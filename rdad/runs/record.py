"""run.json: what a run was, how it ended, where it is tracked. Written whole after each change."""

import json
from pathlib import Path
from typing import Any, Self

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.runs.files import now, write_json, write_text_atomic

RECORD_FILE = "run.json"
CONFIG_FILE = Path(".hydra") / "config.yaml"
OVERRIDES_FILE = Path(".hydra") / "overrides.yaml"
LARGEST_YAML = 100_000  # bytes; Hydra writes a tenth of that


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
        content = json.loads(path.read_text(encoding="utf-8"))
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
    """What the command line changed, as Hydra wrote it down; none outside the command line.

    Raises:
        ValueError: the file holds something else.
    """
    path = run_dir / OVERRIDES_FILE
    if not path.is_file():
        return []
    content = read_yaml(path) or []
    if not isinstance(content, list):
        raise ValueError(f"{path} is no list of overrides")
    return [str(one) for one in content]


def read_yaml(path: Path) -> Any:
    """The plain data of a YAML file that anybody may have written; `${...}` stays text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML, is larger than `LARGEST_YAML`, or has aliases: those of
            aliases make more of a few hundred bytes than a machine holds.
    """
    if path.stat().st_size > LARGEST_YAML:
        raise ValueError(f"{path} is larger than {LARGEST_YAML} bytes")
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError(f"{path} has aliases (*name), which no run writes; it was not read")
        return OmegaConf.to_container(OmegaConf.create(text))
    except (UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error

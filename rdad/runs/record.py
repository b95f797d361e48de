"""run.json: what a run was, how it ended, where it is tracked. Written whole after each change."""

import json
from pathlib import Path
from typing import Any, Self

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader

from rdad.runs.files import (
    DiskFullError,
    as_json,
    now,
    write_json,
    write_over,
    write_text_atomic,
)

RECORD_FILE = "run.json"
CONFIG_FILE = Path(".hydra") / "config.yaml"
OVERRIDES_FILE = Path(".hydra") / "overrides.yaml"
NOWHERE: dict[str, str | None] = {"uri": None, "run_id": None, "error": None}
"""What `tracking` says of a run that is not in MLflow."""

KINDS: dict[str, Any] = {
    **dict.fromkeys(("reason", "experiment", "run_name", "started", "ended", "training"), str),
    **dict.fromkeys(("data_digest", "encoder_digest", "reused_from", "thresholds_kept"), str),
    **dict.fromkeys(("params", "tags", "images", "undefined"), dict),
    **dict.fromkeys(("tracking", "thresholds"), dict | None),
    **dict.fromkeys(("train_seconds", "images_per_second", "test_seconds"), int | float),
    "peak_memory_bytes": int | float,
    "checkpoint": str | None,
    "trained": bool,
}
LONGEST = 100  # characters of a fact, in a message
LARGEST_YAML = 100_000  # bytes; Hydra writes a tenth of that
DEEPEST_YAML = 50


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
        """Write it down on a full disk too, where the file has room for it.

        Raises:
            OSError: it cannot be written.
        """
        try:
            self.update(status=status, ended=now(), **facts)
        except DiskFullError:
            write_over(self.run_dir / RECORD_FILE, as_json(self._content))


def read_record(run_dir: Path, *needed: str) -> dict[str, Any]:
    """The content of a run's run.json, which anybody may have written.

    Args:
        needed: Facts that must be there.

    Raises:
        FileNotFoundError: `run_dir` is no run folder.
        ValueError: the file holds something else than a record, or lacks a fact.
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
    for name, found in content.items():
        if not isinstance(found, KINDS.get(name, object)) or not _is_plain(name, found):
            raise ValueError(f"{path} is not what a run writes: {name} is {str(found)[:LONGEST]!r}")
    if missing := [name for name in needed if name not in content]:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}, which a run writes")
    if content.get("tracking") is not None:
        content["tracking"] = NOWHERE | content["tracking"]
    return content


def _is_plain(name: str, found: Any) -> bool:
    """Whether what a fact consists of is as a run writes it."""
    if name == "params":
        return not any(isinstance(one, dict | list) for one in found.values())
    if name == "tracking" and found is not None:
        return all(isinstance(found.get(key), str | None) for key in NOWHERE)
    return True


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
        ValueError: it is not YAML, or would be too much: by its size, by aliases of aliases, by
            its depth, with which the time to read it grows as the square.
    """
    if path.stat().st_size > LARGEST_YAML:
        raise ValueError(f"{path} is larger than {LARGEST_YAML} bytes")
    try:
        text, depth = path.read_text(encoding="utf-8"), 0
        for event in yaml.parse(text):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST_YAML:
                raise ValueError(
                    f"{path} has aliases (*name) or more than {DEEPEST_YAML} levels, which no run "
                    "writes; it was not read"
                )
        return yaml.load(text, Loader=get_yaml_loader())  # a SafeLoader, with Hydra's numbers
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path} is not YAML: {said}") from error

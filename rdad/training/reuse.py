"""Train once, score many: finished trainings by a fingerprint of all that a training depends on."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rdad.data.store import default_cache_dir
from rdad.detector.model_file import take_trained_parts
from rdad.model.torch_model import ReverseDistillationModel
from rdad.runs.files import DRAFT, MODEL_FILE, read_history, write_json
from rdad.runs.record import read_record
from rdad.training.callbacks import WATCHED

log = logging.getLogger(__name__)

VERSIONS = ("rdad", "torch", "torchvision", "timm", "lightning")
MEASURED = ("train_seconds", "images_per_second")
LOCK_POLL_SECONDS = 0.2

Fetch = Callable[[str, Path], tuple[Path, str] | None]
"""Fingerprint and an empty folder -> where a training lies now, and whose it is."""


@dataclass(frozen=True)
class TakenOver:
    """Another run's training, once the network has its weights."""

    source: str
    history: list[dict[str, float]]  # without what was watched, which was of the other run's maps
    measured: dict[str, float]


def training_fingerprint(
    settings: Mapping[str, Any],
    *,
    data_digest: str,
    encoder_digest: str,
    of_any_length: bool = False,
) -> str:
    """What two runs must share for one training to serve both.

    Images and encoder weights count by content, not by name; so does each setting that a training
    reads, the version of each package that computes, and the code of parts of one's own.

    Args:
        settings: As `rdad.config.parameters.training_settings` gives them.
        of_any_length: Leave out how long it is, for trainings that are to go on.
    """
    length = ("max_epochs", "max_steps")
    trainer = {key: value for key, value in settings["trainer"].items() if key not in length}
    facts = {
        "settings": {**settings, "trainer": trainer} if of_any_length else settings,
        "data": data_digest,
        "encoder": encoder_digest,
        "versions": {name: version(name) for name in VERSIONS},
    }
    if own := {target: _code_digest(target) for target in _targets(settings) if _is_own(target)}:
        facts["code"] = own
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _targets(node: Any) -> Iterator[str]:
    """What a configuration's nodes name by `_target_`."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _is_own(target: str) -> bool:
    return target.partition(".")[0] not in VERSIONS


def _code_digest(target: str) -> str:
    """Of all Python files of the package that holds `target`, or of the one file that does."""
    digest, files, spec = hashlib.sha256(), list[Path](), None
    with suppress(ValueError):  # of what was typed into an interpreter, and has no file
        spec = find_spec(target.partition(".")[0])
    if spec is not None and spec.submodule_search_locations is not None:
        places = map(Path, spec.submodule_search_locations)
        files = sorted(path for place in places for path in place.rglob("*.py"))
    elif spec is not None and spec.has_location:
        files = [Path(str(spec.origin))]
    for path in files:
        digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()


def take_over(
    fingerprint: str, model: ReverseDistillationModel, *, folder: Path, fetch: Fetch
) -> TakenOver | None:
    """Fill the network from a finished training, of this machine or a fetched one, if there is one.

    Args:
        folder: For what is fetched, while it is read.
    """
    found = find_training(fingerprint)
    if found is not None:
        return _taken(found, str(found.absolute()), model)
    with TemporaryDirectory(dir=folder, prefix=DRAFT) as place:
        offered = fetch(fingerprint, Path(place))
        return None if offered is None else _taken(*offered, model)


def _taken(run_dir: Path, source: str, model: ReverseDistillationModel) -> TakenOver | None:
    """None where the files of that training are gone or damaged."""
    try:
        take_trained_parts(run_dir / MODEL_FILE, model)
        history, record = read_history(run_dir), read_record(run_dir)
        measured = {name: record[name] for name in MEASURED}
    except (OSError, ValueError, KeyError) as error:
        log.warning("the training of %s was not taken over: %s", source, error)
        return None
    log.info("reused the training of %s", source)
    own = [
        {name: value for name, value in figures.items() if not name.startswith(WATCHED)}
        for figures in history
    ]
    return TakenOver(source, own, measured)


@contextmanager
def claimed(fingerprint: str) -> Iterator[None]:
    """Only one process at a time trains under a fingerprint; another waits for its end.

    A cache that cannot be written to keeps nobody from training.
    """
    from filelock import FileLock, Timeout

    path = _entry(fingerprint).with_suffix(".lock")
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another job trains the same network: waiting for it")
        lock.acquire(poll_interval=LOCK_POLL_SECONDS)
    except (OSError, NotImplementedError) as error:  # of a disk without locks
        log.warning("other jobs may train the same network meanwhile: %s", error)
    try:
        yield
    finally:
        lock.release()


def find_training(fingerprint: str) -> Path | None:
    """The folder of a run that finished this training and still holds it."""
    entry = _entry(fingerprint)
    with suppress(OSError, ValueError, KeyError, TypeError):
        run_dir = Path(json.loads(entry.read_text(encoding="utf-8"))["run_dir"])
        kept = read_record(run_dir)
        if kept["training"] == fingerprint and kept["trained"] and (run_dir / MODEL_FILE).is_file():
            return run_dir
    return None


def remember_training(fingerprint: str, run_dir: Path) -> None:
    """Let later runs find this one; a cache that cannot be written costs them their time only."""
    try:
        write_json(_entry(fingerprint), {"run_dir": str(run_dir.absolute())})
    except OSError as error:
        log.warning("later runs will not find this training: %s", error)


def _entry(fingerprint: str) -> Path:
    return default_cache_dir() / "trainings" / f"{fingerprint}.json"

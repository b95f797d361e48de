"""Train once, score many: finished trainings by a fingerprint of all that a training depends on."""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rdad.data.store import default_cache_dir
from rdad.detector.model_file import MODEL_FILE
from rdad.runs.files import write_text_atomic
from rdad.runs.record import read_record

log = logging.getLogger(__name__)

AFTER_TRAINING = ("anomaly_map_mode", "sigma")  # of `model`: they act on what a training gave
VERSIONS = ("rdad", "torch", "torchvision", "timm", "lightning")
LOCK_POLL_SECONDS = 0.2


def training_fingerprint(
    cfg: DictConfig, *, data_digest: str, encoder_digest: str, of_any_length: bool = False
) -> str:
    """What two runs must share for one training to serve both.

    Images and encoder weights count by content, not by name; so does each setting that a training
    reads, and the version of each package that computes.

    Args:
        of_any_length: Leave out how many epochs there are, for trainings that are to go on.
    """
    model: dict[str, Any] = OmegaConf.to_container(cfg.model, resolve=True)  # type: ignore[assignment]
    for name in (*AFTER_TRAINING, "weights"):
        model.pop(name)
    model["layers"] = sorted(set(model["layers"]))
    trainer: dict[str, Any] = OmegaConf.to_container(cfg.trainer, resolve=True)  # type: ignore[assignment]
    if of_any_length:
        trainer.pop("max_epochs")
    facts = {
        "model": model,
        "trainer": trainer,
        "batch_size": cfg.dataset.batch_size,
        "order": cfg.dataset.seed,
        "validation": cfg.dataset.validation,
        "seed": cfg.seed,
        "cache_features": cfg.cache_features,
        "compile": cfg.compile,
        "data": data_digest,
        "encoder": encoder_digest,
        "versions": {name: version(name) for name in VERSIONS},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


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
    except OSError as error:
        log.warning("other jobs may train the same network meanwhile: %s", error)
    try:
        yield
    finally:
        lock.release()


def find_training(fingerprint: str) -> Path | None:
    """The folder of a run that finished this training and still holds it."""
    entry = _entry(fingerprint)
    with suppress(OSError, ValueError, KeyError):
        run_dir = Path(json.loads(entry.read_text(encoding="utf-8"))["run_dir"])
        kept = read_record(run_dir)
        if kept["training"] == fingerprint and kept["trained"] and (run_dir / MODEL_FILE).is_file():
            return run_dir
    return None


def remember_training(fingerprint: str, run_dir: Path) -> None:
    """Let later runs find this one; a cache that cannot be written costs them their time only."""
    try:
        text = json.dumps({"run_dir": str(run_dir.absolute())})
        write_text_atomic(_entry(fingerprint), text + "\n")
    except OSError as error:
        log.warning("later runs will not find this training: %s", error)


def _entry(fingerprint: str) -> Path:
    return default_cache_dir() / "trainings" / f"{fingerprint}.json"

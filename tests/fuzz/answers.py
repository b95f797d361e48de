"""A tracking server that answers otherwise than it should, to a training, an upload, an opening.

A training's tracker never raises; all of them end in time, whatever comes back.
"""

import functools
import os
import shutil
import time
from pathlib import Path
from random import Random

from run_folders import HISTORY, METRICS, PARAMS, TAGS, read_record
from trained_runs import ARGUMENTS, make_trained_run

import rdad.tracking.tracker
from fuzz.box import SECRET
from fuzz.changes import RAN
from fuzz.spoilt_server import Spoiler, served
from fuzz.trials import REFUSED, RIGHT
from rdad import open_model
from rdad.data.store import default_cache_dir
from rdad.tracking import MlflowTracker, store
from rdad.tracking.models import register
from rdad.upload import upload

SECONDS = 40  # for all calls of a run, each of which has a few
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}


def attempt(random: Random, folder: Path) -> str:
    os.environ |= IMPATIENT
    store.ANSWER_SECONDS, store.CALL_SECONDS, store.TRANSFER_SECONDS = 2, 3, 4
    rdad.tracking.tracker.START_SECONDS = 5
    run_dir = _own_run(folder / "run")
    use = random.choice([_tracked, _tracked, _tracked, _uploaded, _opened])
    spoiler = Spoiler(random, first=random.choice([0, 1, 2, 3, random.randrange(60)]))
    with served(spoiler) as address:
        started = time.monotonic()
        try:
            verdict = use(address, run_dir)
        except Exception as error:
            raise AssertionError(f"{use.__name__}: {spoiler}") from error
        seconds = time.monotonic() - started
    assert seconds < SECONDS, f"{seconds:.0f} s for {use.__name__}: {spoiler}"
    assert not list(folder.rglob(RAN)), str(spoiler)
    return verdict


def _tracked(address: str, run_dir: Path) -> str:
    tracker = MlflowTracker(address, system_metrics=False)
    tracker.start(experiment="x", run_name="x", params=PARAMS, tags=TAGS)
    for row in HISTORY:
        tracker.log_metrics({"train/loss": row["train/loss"]}, step=row["epoch"])
    tracker.fetch_training("f" * 32, run_dir)
    tracker.finish(run_dir, "FINISHED", {key: value or 0.0 for key, value in METRICS.items()})
    if tracker.error is None and tracker.model_error is None:
        return RIGHT
    return _refused(tracker.error or tracker.model_error)


def _uploaded(address: str, run_dir: Path) -> str:
    try:
        upload(run_dir, uri=address)
    except (OSError, ValueError) as error:
        return _refused(error)
    return RIGHT


def _opened(address: str, run_dir: Path) -> str:
    """A model that was sent to the same store while all was well."""
    run_id = _sent()
    try:
        register(run_id, name="x", alias="y", tracking_uri=address)
        for source in ("models:/x@y", run_id):
            assert open_model(source, tracking_uri=address).predict
    except (OSError, ValueError) as error:
        return _refused(error)
    return RIGHT


def _refused(error: object) -> str:
    said = str(error)
    assert said.strip() and len(said) < 1000, said
    assert SECRET not in said and "Traceback" not in said, said
    return REFUSED


@functools.cache
def _sent() -> str:
    run_dir = _own_run(default_cache_dir() / "sent")
    with served(Spoiler(Random(0), first=None)) as address:
        upload(run_dir, uri=address)
    run_id = read_record(run_dir)["tracking"]["run_id"]
    shutil.rmtree(run_dir)  # so that its model is fetched
    return run_id


def _own_run(folder: Path) -> Path:
    shutil.copytree(_made_once(), folder, copy_function=os.link)
    return folder


@functools.cache
def _made_once() -> Path:
    ARGUMENTS["layers"] = ["layer1"]
    return make_trained_run(default_cache_dir() / "run")

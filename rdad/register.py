"""python -m rdad.register: give a run's model a name in MLflow, to open and serve it by."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from rdad.config.checks import asked_threshold, check_values
from rdad.config.command import Command
from rdad.config.schema import JudgingConfig

if TYPE_CHECKING:
    from rdad.metrics.thresholds import Thresholds

COMMAND = Command(
    name="register",
    summary=(
        "Register the model that a run logged to MLflow as a new version of a name, and let an\n"
        "alias point at it. It is then opened as models:/<name>@<alias>. With another threshold\n"
        "it is a model of its own, and the run keeps what it has."
    ),
    usage="RUN",
    least=1,
    most=1,
    examples=(
        "outputs/demo name=brick alias=champion",
        "outputs/demo name=brick threshold=1.9",
        "03c88924d64a41edb0c3296bb257d46a name=brick alias=champion tracking_uri=http://host:5000",
    ),
)


@dataclass
class RegisterConfig(JudgingConfig):
    """The options of conf/register.yaml, which says what they are for."""

    name: str = MISSING
    alias: str | None = MISSING
    weights: str | None = MISSING
    tracking_uri: str | None = MISSING


ConfigStore.instance().store(name="register_schema", node=RegisterConfig)


def register_run(arguments: Sequence[str], cfg: DictConfig) -> int:
    """Register the named run folder or MLflow run; gives the exit code."""
    check_values(RegisterConfig, cfg)
    asked = asked_threshold(cfg)
    from rdad.detector.calibration import chosen_thresholds
    from rdad.tracking.models import register, said_of_version
    from rdad.tracking.store import shown_uri

    run_id, uri, kept = _tracked(arguments[0], cfg.tracking_uri)

    def chosen(own: "Thresholds | None") -> "Thresholds | None":
        return chosen_thresholds(kept or own, **asked)

    named = {"name": cfg.name, "alias": cfg.alias, "weights": cfg.weights}
    version = register(run_id, tracking_uri=uri, chosen=chosen, **named)
    address = f"models:/{cfg.name}@{cfg.alias}" if cfg.alias else f"models:/{cfg.name}/{version}"
    print(f"{address} is version {version} of {cfg.name}: run {run_id}")
    print(f"thresholds  {said_of_version(cfg.name, version, tracking_uri=uri)}\n\nserve it with")
    print(f"  export MLFLOW_TRACKING_URI={shlex.quote(shown_uri(uri))}")
    print(f"  python -m rdad.serve {shlex.quote(address)}\nor, for requests in JSON alone, with")
    print(f"  mlflow models serve --env-manager local --port 5001 -m {shlex.quote(address)}")
    return 0


def _tracked(source: str, tracking_uri: str | None) -> "tuple[str, str, Thresholds | None]":
    """The MLflow run that a folder became, or that is named, its store, and the thresholds that
    the folder was given since."""
    from rdad.metrics.thresholds import Thresholds
    from rdad.runs.record import read_record
    from rdad.tracking.models import RUN_ID
    from rdad.tracking.store import default_uri, kept_uri

    if RUN_ID.fullmatch(source):
        return source, tracking_uri or default_uri(), None
    record = read_record(Path(source))
    known = record.get("tracking") or {}
    uri = tracking_uri or known.get("uri")
    if not known.get("run_id") or known.get("error") or uri is None:
        raise FileNotFoundError(
            f"{source} is not in MLflow; send it with  python -m rdad.upload {shlex.quote(source)}"
        )
    kept = Thresholds.from_dict(record["thresholds"]) if "thresholds_kept" in record else None
    return known["run_id"], kept_uri(uri), kept


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    return COMMAND.main(register_run, arguments)


if __name__ == "__main__":
    sys.exit(main())

"""python -m rdad.serve: a trained network behind HTTP, which is sent files, or JSON as MLflow's."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from rdad.config.allowed import number
from rdad.config.checks import asked_threshold, check_values
from rdad.config.command import Command
from rdad.config.mistakes import ConfigError
from rdad.config.schema import JudgingConfig, SourceConfig
from rdad.experiment.open_model import opened
from rdad.runs.slow_imports import slow_imports

log = logging.getLogger(__name__)

COMMAND = Command(
    name="serve",
    summary=(
        "Answer requests over HTTP with scores, verdicts, regions and maps. POST /invocations\n"
        "takes image files as a form or as they are, and JSON as `mlflow models serve` does."
    ),
    usage="RUN",
    least=1,
    most=1,
    examples=(
        "outputs/demo",
        "models:/toothbrush@champion host=0.0.0.0 port=8080",
        "outputs/demo threshold=1.9 device=cpu",
    ),
)


@dataclass
class ServeConfig(JudgingConfig, SourceConfig):
    """The options of conf/serve.yaml, which says what they are for."""

    host: str = MISSING
    port: int = number(0, 65535)
    largest_mb: int = number(1)
    device: str = MISSING


ConfigStore.instance().store(name="serve_schema", node=ServeConfig)


def serve(arguments: Sequence[str], cfg: DictConfig) -> int:
    """Serve the named network until a signal comes; gives the exit code."""
    check_values(ServeConfig, cfg)
    with slow_imports():
        import uvicorn

        from rdad.detector.device import chosen_device
        from rdad.serve.application import application

    device = chosen_device(cfg.device)
    trained, _ = opened(arguments[0], cfg)
    if trained.framing.each:
        raise ConfigError(
            f"{trained.name} was trained with a mask for each image, which a request does not "
            "bring; python -m rdad.predict takes them by ignore="
        )
    trained = trained.judging(**asked_threshold(cfg)).to(device)
    log.info("thresholds: %s", trained.thresholds or "none, so there are scores and no verdicts")
    app = application(trained, largest_mb=cfg.largest_mb)
    uvicorn.run(app, host=cfg.host, port=cfg.port, log_config=None)
    return 0


if __name__ == "__main__":
    sys.exit(COMMAND.main(serve))

"""The sweep's own run in MLflow, above those of its jobs."""

from hydra.experimental.callback import Callback


class SweepRun(Callback):
    """Hydra callback; makes nothing yet."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

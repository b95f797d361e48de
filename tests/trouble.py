"""A Hydra callback that makes single jobs of a sweep fail from outside, as machines do."""

import os
import resource
import signal
from pathlib import Path
from threading import Timer
from typing import Any

from charts import grey_pixel
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rdad.results import curves

MARKER = "trouble"  # while this file stands in the current folder
KILLED, DISK_FULL = 3, 6  # numbers of jobs
BYTES_LEFT = 30_000
SECONDS_TO_LIVE = 0.1


class Trouble(Callback):
    """Kills one job soon after its start, and lets another write small files only.

    A limit on a file's size fails a write as a full disk does, in one process alone. No job draws
    its charts.
    """

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        vars(curves).update(write_chart=grey_pixel)
        if not Path(MARKER).exists():
            return
        if config.hydra.job.num == KILLED:
            Timer(SECONDS_TO_LIVE, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if config.hydra.job.num == DISK_FULL:
            self._limit(BYTES_LEFT)

    def on_job_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, bytes_left: int) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))

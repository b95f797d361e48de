"""Jobs on a Ray cluster, a process each, of which one may die without harm to the others.

Hydra imports what lies here at each start, but for names that begin with _; Ray takes its time.
"""

import logging
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from hydra.core.utils import JobReturn, configure_log, filter_overrides
from omegaconf import DictConfig, OmegaConf
from ray.exceptions import RayActorError, RayError

from hydra_plugins.rdad.launcher import JobsLauncher, LauncherError, carry_out, failed, reason

log = logging.getLogger(__name__)

CPUS, GPUS = "num_cpus", "num_gpus"
RESOURCES = {CPUS: "CPU", GPUS: "GPU"}
SENT = ("MLFLOW_", "RDAD_")  # environment variables that a cluster's own processes lack
OBJECT_BYTES = 80_000_000  # of memory that Ray takes at its start; by itself a third of it all
OWN = "local"  # without an address Ray would join a cluster that runs on this machine


class RayLauncher(JobsLauncher):
    """Jobs as actors of Ray, each of which starts as soon as its share of the cluster is free.

    Args:
        ray: `init`, the arguments of `ray.init`, and `remote`, those of `ray.remote`: a job's
            share.
    """

    def __init__(self, ray: DictConfig) -> None:
        plain: Any = OmegaConf.to_container(ray, resolve=True)
        self._init, self._remote = plain["init"], plain["remote"]

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What came of each job; a job's own failure is in its JobReturn."""
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        self._connect()
        jobs = dict(enumerate(job_overrides, initial_job_idx))
        log.info("Launching %d jobs on Ray, %s each", len(jobs), self._remote)
        running, returns = self._started(jobs), dict[int, JobReturn]()
        while running:
            (ended,), _ = ray.wait(list(running))
            number, process = running.pop(ended)
            returns[number] = _returned(ended, number, jobs[number])
            ray.kill(process)  # its share is the next job's
        return [returns[number] for number in jobs]

    def _started(self, jobs: Mapping[int, Sequence[str]]) -> dict[Any, tuple[int, Any]]:
        """Number and process of each job, by what Ray will give for it."""
        variables = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
        variables["OMP_NUM_THREADS"] = str(max(int(self._remote.get(CPUS) or 1), 1))
        parts = ray.put(self.packed())
        remote: Any = ray.remote(**self._remote)(JobProcess)
        started: dict[Any, tuple[int, Any]] = {}
        for number, overrides in jobs.items():
            log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
            process = remote.remote()
            job = process.run.remote(parts, overrides, number, Path.cwd(), variables)
            started[job] = number, process
        return started

    def _connect(self) -> None:
        """To the cluster that is named, or to one of this machine's own, which ends with us.

        Raises:
            LauncherError: a job asks for more than such a cluster has, and would wait for ever.
        """
        own = not self._init.get("address")
        if not ray.is_initialized():
            options = {"logging_level": logging.WARNING} | self._init
            if own:
                options = {"object_store_memory": OBJECT_BYTES} | options | {"address": OWN}
            ray.init(**options)
        for name, resource in RESOURCES.items():
            asked, there = self._remote.get(name) or 0, ray.cluster_resources().get(resource, 0)
            if own and asked > there:
                raise LauncherError(
                    f"hydra.launcher.ray.remote.{name} is {asked:g}, more than the {there:g} of "
                    "this machine's own cluster; hydra.launcher.ray.init.address names another"
                )


class JobProcess:
    """A process for one job, with a share of the cluster."""

    def run(
        self,
        parts: bytes,
        overrides: Sequence[str],
        number: int,
        place: Path,
        variables: Mapping[str, str],
    ) -> bytes:
        """As of `carry_out`, in the folder and with the variables of the process that launches."""
        os.chdir(place)
        os.environ.update(variables)
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return carry_out(parts, overrides, number)


def _returned(ended: Any, number: int, overrides: Sequence[str]) -> JobReturn:
    try:
        return pickle.loads(ray.get(ended))
    except RayActorError:
        return failed(number, overrides, "its process died; was memory short?")
    except RayError as error:  # outside of what Hydra calls the job: it does not compose
        return failed(number, overrides, reason(getattr(error, "cause", error)))

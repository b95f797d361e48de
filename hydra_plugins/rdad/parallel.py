"""Jobs side by side on one machine, each in a process of its own."""

import logging
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from hydra.core.utils import JobReturn, configure_log, env_override, filter_overrides

from hydra_plugins.rdad.launcher import JobsLauncher, carry_out, failed
from rdad.runs.ending import end_in_order_when_terminated
from rdad.runs.files import write_atomic

log = logging.getLogger(__name__)


class ParallelLauncher(JobsLauncher):
    """Some jobs at a time, each in a process that ends with it.

    Processes are forked from one that has imported what jobs need, where the system can do that.
    One that is killed, say for want of memory, harms no other job: its own starts again, alone,
    when all others have ended, and has failed when it is killed again.

    Args:
        n_jobs: Jobs at a time, which share the cores; -1 for as many as there are cores.
        preload: Modules that are imported once for all jobs.
        again: Further overrides of a job that starts again.
        seconds_to_end: After Ctrl-C, which the terminal hands to the jobs as well.
    """

    def __init__(
        self,
        n_jobs: int = -1,
        preload: Sequence[str] = (),
        again: Sequence[str] = (),
        seconds_to_end: float = 10,
    ) -> None:
        self._cores = (
            len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        )
        self._n_jobs = n_jobs if n_jobs > 0 else self._cores
        self._again, self._seconds_to_end = list(again), seconds_to_end
        can_fork = "forkserver" in multiprocessing.get_all_start_methods()
        self._processes = (
            multiprocessing.get_context("forkserver")
            if can_fork
            else multiprocessing.get_context("spawn")
        )
        self._processes.set_forkserver_preload([__name__, *preload])

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What came of each job; a job's own failure is in its JobReturn."""
        end_in_order_when_terminated()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        jobs = dict(enumerate(job_overrides, initial_job_idx))
        log.info("Launching %d jobs, %d at a time", len(jobs), self._n_jobs)
        ended = self._run(jobs, self._n_jobs)
        for number in [number for number in jobs if number not in ended]:
            log.warning("job %d: its process was killed; it starts again", number)
            ended |= self._run({number: [*jobs[number], *self._again]}, 1)
        said = "its process was killed twice; was memory short?"
        return [ended.get(number) or failed(number, jobs[number], said) for number in jobs]

    def _run(self, jobs: Mapping[int, Sequence[str]], at_a_time: int) -> dict[int, JobReturn]:
        """What came of the jobs whose processes were not killed."""
        parts = self.packed()
        share = str(max(self._cores // self._n_jobs, 1))  # unless the user says how many threads
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", share)}
        running: list[BaseProcess] = []
        with tempfile.TemporaryDirectory(prefix="rdad-jobs-") as name:
            folder = Path(name)
            try:
                for number, overrides in jobs.items():
                    log.debug("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
                    arguments = (parts, overrides, number, Path.cwd(), folder)
                    process = self._processes.Process(target=_job, args=arguments)
                    with _no_main(), env_override(threads):
                        process.start()
                    running.append(process)
                    _await(running, fewer_than=at_a_time)
                _await(running, fewer_than=1)
            except BaseException as stop:
                by_ctrl_c = isinstance(stop, KeyboardInterrupt)
                _end(running, self._seconds_to_end if by_ctrl_c else 0)
                raise
            return {
                number: pickle.loads((folder / str(number)).read_bytes())
                for number in jobs
                if (folder / str(number)).exists()
            }


def _job(parts: bytes, overrides: Sequence[str], number: int, place: Path, folder: Path) -> None:
    """Be the process of a job, which leaves what came of it in `folder`."""
    end_in_order_when_terminated()
    os.chdir(place)
    returned = carry_out(parts, overrides, number)
    write_atomic(folder / str(number), lambda draft: draft.write_bytes(returned))


def _await(running: list[BaseProcess], fewer_than: int) -> None:
    """Take those that have ended out of the list, until so few are left."""
    while len(running) >= fewer_than:
        wait([process.sentinel for process in running])
        running[:] = [process for process in running if process.is_alive()]


def _end(processes: Sequence[BaseProcess], seconds: float) -> None:
    """Wait so long for all, then end what still runs; each writes down how it ended."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(until - time.monotonic(), 0))
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


@contextmanager
def _no_main() -> Iterator[None]:
    """A process that starts in here imports no main module: it is handed its task itself."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

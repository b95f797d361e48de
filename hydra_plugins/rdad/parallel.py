"""Jobs side by side on one machine, of which one may be killed without harm to the others."""

import logging
import pickle
import tempfile
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.rdad.launcher import ExtraLauncher, LauncherError, reason
from rdad.runs.files import write_atomic

log = logging.getLogger(__name__)


class ParallelLauncher(ExtraLauncher):
    """joblib's launcher, which goes on after a job's process was killed, say for want of memory.

    joblib then gives up all jobs, those that have ended too. Here these keep what they gave, those
    that were running start again one at a time, and the rest as before. A job that is killed
    again has failed.

    Args:
        again: Further overrides of a job that starts again.
        options: As of ExtraLauncher.
    """

    def __init__(self, again: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self._again = list(again)
        self._kept = tempfile.TemporaryDirectory(prefix="rdad-jobs-")
        self._notes = Path(self._kept.name)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        noted = NotedTask(task_function, self._notes)
        super().setup(hydra_context=hydra_context, task_function=noted, config=config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        try:
            return super().launch(job_overrides, initial_job_idx)
        except LauncherError as error:
            if not isinstance(error.__cause__, BrokenProcessPool):
                raise
        log.warning("the process of a job was killed; the jobs that it took with it start again")
        jobs = dict(enumerate(job_overrides, initial_job_idx))
        none_began = {self._note(number) for number in jobs} == {"waits"}  # killed at its start
        returns: list[JobReturn] = []
        for note, numbers in groupby(jobs, key=self._note):
            group = list(numbers)
            if note == "ended":
                paths = [self._notes / f"{number}.ended" for number in group]
                returns += [pickle.loads(path.read_bytes()) for path in paths]
            elif note == "began" or none_began:
                returns += [self._alone(jobs[number], number) for number in group]
            else:
                returns += self.launch([jobs[number] for number in group], group[0])
        return returns

    def _note(self, number: int) -> str:
        notes = [one for one in ("ended", "began") if (self._notes / f"{number}.{one}").exists()]
        return notes[0] if notes else "waits"

    def _alone(self, overrides: Sequence[str], number: int) -> JobReturn:
        try:
            return super().launch([[*overrides, *self._again]], number)[0]
        except LauncherError as error:
            if not isinstance(error.__cause__, BrokenProcessPool):
                raise
        killed = LauncherError(f"job {number}: its process was killed twice; was memory short?")
        return JobReturn(overrides, status=JobStatus.FAILED, _return_value=killed)


@dataclass(frozen=True)
class NotedTask:
    """A task that notes in `folder`, under its job's number, that it began and what came of it."""

    task: TaskFunction
    folder: Path

    def __call__(self, cfg: DictConfig) -> Any:
        number = HydraConfig.get().job.num
        (self.folder / f"{number}.began").touch()
        try:
            returned = self.task(cfg)
        except Exception as error:
            self._note_end(number, JobStatus.FAILED, LauncherError(reason(error)))
            raise
        self._note_end(number, JobStatus.COMPLETED, returned)
        return returned

    def _note_end(self, number: int, status: JobStatus, returned: Any) -> None:
        content = pickle.dumps(JobReturn(status=status, _return_value=returned))
        write_atomic(self.folder / f"{number}.ended", lambda draft: draft.write_bytes(content))

"""What launchers share: a job that another process carries out, and what an extra brings."""

import importlib
import pickle
from collections.abc import Sequence
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.errors import CompactHydraException, HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class LauncherError(CompactHydraException):
    """Jobs cannot be launched; Hydra prints the message alone."""


class ExtraLauncher(Launcher):
    """The launcher of a plugin, or one sentence that says how to install it.

    Hydra's own message for a plugin that is not there is a traceback without a remedy.

    Args:
        extra: What installs the plugin, as in rdad[parallel].
        launcher: The plugin's class.
        options: Its arguments.
    """

    def __init__(self, extra: str, launcher: str, **options: Any) -> None:
        self._extra, self._class_name, self._options = extra, launcher, options
        self._launcher: Launcher

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the plugin's launcher.

        Raises:
            LauncherError: the plugin is not installed.
        """
        module, _, name = self._class_name.rpartition(".")
        try:
            launcher_class = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            raise LauncherError(
                f"hydra/launcher needs {error.name}, which is not installed: pip install "
                f"'rdad[{self._extra}]', or in a checkout of rdad pip install '.[{self._extra}]'"
            ) from error
        self._launcher = launcher_class(**self._options)
        self._launcher.setup(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What came of each job; a job's own failure is in its JobReturn.

        Raises:
            LauncherError: the engine below failed, as SLURM does where there is none.
        """
        try:
            return self._launcher.launch(job_overrides, initial_job_idx)
        except HydraException:
            raise
        except Exception as error:
            raise LauncherError(f"{self._class_name}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """An error in one line; its kind too, unless it was raised to be read."""
    compact = isinstance(error, CompactHydraException)
    return str(error) if compact else f"{type(error).__name__}: {error}"


class JobsLauncher(Launcher):
    """A launcher that hands each job to a process, which does `carry_out`."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._task, self._config = hydra_context, task_function, config

    def packed(self) -> bytes:
        """What a sweep's jobs have in common, for `carry_out`; the main module's functions too."""
        state = Singleton.get_state()
        return cloudpickle.dumps((self._context, self._config, self._task, state))


def carry_out(parts: bytes, overrides: Sequence[str], number: int) -> bytes:
    """A job of a sweep, in a process that knows nothing of it yet.

    Args:
        parts: As `JobsLauncher.packed` gives them.

    Returns:
        Its JobReturn, pickled, in which an error is told in one line.
    """
    context, config, task, state = pickle.loads(parts)
    setup_globals()
    Singleton.set_state(state)
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id, job.hydra.job.num = f"{job.hydra.job.name}_{number}", number
    HydraConfig.instance().set_config(job)
    returned = run_job(
        hydra_context=context,
        config=job,
        task_function=task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    if returned.status == JobStatus.FAILED:  # other errors may refuse to be made again
        returned._return_value = LauncherError(reason(returned._return_value))
    return cloudpickle.dumps(returned)


def failed(number: int, overrides: Sequence[str], said: str) -> JobReturn:
    """Of a job that could not say itself what came of it."""
    error = LauncherError(f"job {number}: {said}")
    return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)

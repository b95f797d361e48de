"""Jobs of a sweep run elsewhere: side by side, through a queue, on a cluster."""

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

import commands
import pytest
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf
from toy_sweeps import jobs, make_app, sweep

from hydra_plugins.rdad.parallel import _end

PARALLEL = ["hydra/launcher=parallel", "hydra.launcher.preload=[]"]
LAUNCHERS = [
    (" ".join(PARALLEL), "hydra_plugins.rdad.parallel"),
    ("hydra/launcher=slurm_local", "hydra_plugins.hydra_submitit_launcher"),
]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_app(tmp_path)


@pytest.mark.parametrize(("launcher", "module"), LAUNCHERS)
def test_jobs_run_at_the_same_time_and_a_failing_one_stops_no_other(
    app: Path, launcher: str, module: str
) -> None:
    pytest.importorskip(module, reason=f"needs the extra of {launcher}")
    done = sweep(app, *launcher.split(), "kind=broken,waits", "y=1,2")
    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
    ran = jobs(app)
    assert list(ran) == [2, 3]
    assert ran[2]["process"] != ran[3]["process"]


def test_parallel_jobs_share_the_cores(app: Path) -> None:
    done = sweep(app, *PARALLEL, "kind=threads", "y=1,2")
    assert done.returncode == 0, done.stderr
    cores = len(os.sched_getaffinity(0))
    assert [job["threads"] for job in jobs(app).values()] == [max(cores // 2, 1)] * 2


def test_a_killed_process_fails_its_own_job_and_no_other(app: Path) -> None:
    kinds = "kind=fine,killed,killed_once,broken"
    done = sweep(app, *PARALLEL, kinds, "y=1,2")
    assert done.returncode == 1
    assert "job 2: its process was killed twice" in done.stderr
    assert "Traceback" not in done.stderr
    ran = jobs(app)
    assert list(ran) == [0, 1, 4, 5]
    assert [job["resume"] for job in ran.values()][2] is True


def test_jobs_that_do_not_end_are_waited_for_together() -> None:
    waits: list[float] = []

    class Hangs:
        def join(self, seconds: float = 0) -> None:
            waits.append(seconds)
            time.sleep(seconds)

        def terminate(self) -> None:
            waits.append(0)

    _end([cast(BaseProcess, Hangs()) for _ in range(3)], 0.3)
    assert 0 < sum(waits) <= 0.3


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sweep_leaves_no_job_behind(app: Path, stop: signal.Signals) -> None:
    variables = ["hydra.launcher.seconds_to_end=0", "kind=waits", "y=1,3"]
    command = commands.Command(["app.py", "-m", *PARALLEL, *variables], app)
    notes = [app / "here_1", app / "here_3"]
    while not all(note.exists() and note.read_text() for note in notes):
        assert command.poll() is None
        time.sleep(0.05)
    command.send_signal(stop)
    command.communicate()
    assert command.returncode != 0
    assert not any(Path("/proc", note.read_text()).exists() for note in notes)


def test_jobs_on_ray_have_processes_and_threads_of_their_own_and_die_alone(app: Path) -> None:
    """One cluster for all that is to be shown of it, as it takes its time to start."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    share = ["hydra.launcher.ray.init.num_cpus=4", "hydra.launcher.ray.remote.num_cpus=2"]
    kinds = "kind=killed,waits_threads"
    done = sweep(app, "hydra/launcher=ray_cluster", *share, kinds, "y=1,2")
    assert done.returncode == 1
    assert "job 0: its process died" in done.stderr and "Traceback" not in done.stderr
    ran = jobs(app)
    assert list(ran) == [2, 3]  # each of which waited for the other
    assert [job["threads"] for job in ran.values()] == [2, 2]
    assert ran[2]["process"] != ran[3]["process"]


def test_a_job_that_asks_for_more_than_the_machine_has_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    from hydra_plugins.rdad._ray_cluster import RayLauncher

    monkeypatch.setattr(ray, "is_initialized", lambda: True)  # as a cluster takes its time to start
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 1.0})
    share = {"init": {"address": None}, "remote": {"num_cpus": 2}}
    launcher = RayLauncher(OmegaConf.create(share))
    hydra = {"hydra_logging": {"root": None}, "verbose": False}  # the log stays as it is
    launcher.setup(
        hydra_context=None, task_function=None, config=OmegaConf.create({"hydra": hydra})
    )
    said = "ray.remote.num_cpus is 2, more than the 1 of this machine's own cluster"
    with pytest.raises(CompactHydraException, match=said):
        launcher.launch([["y=1"], ["y=2"]], 0)


def test_a_launcher_that_is_not_installed_is_named_with_its_extra(app: Path) -> None:
    missing = "hydra.launcher.launcher=hydra_plugins.not_there.Launcher"
    done = sweep(app, "hydra/launcher=slurm", missing, "y=1,2")
    assert done.returncode == 1
    assert "pip install 'rdad[slurm]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_slurm_without_slurm_says_so_in_one_sentence(app: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra `slurm`")
    done = sweep(app, "hydra/launcher=slurm", "y=1,2")
    assert done.returncode == 1
    assert "are you indeed on a slurm cluster?" in done.stderr
    assert "Traceback" not in done.stderr

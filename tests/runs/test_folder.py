"""One process at a time in a folder, and a new folder for each run that is named after the time."""

import fcntl
import getpass
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import commands
import pytest
from omegaconf import OmegaConf

from rdad.runs.ending import record_end
from rdad.runs.files import DRAFT
from rdad.runs.folder import LOCK_FILE, RANKS, FolderInUseError, alone_in, have_a_home, new_folder
from rdad.runs.record import RunRecord, read_record

TRAIN = ("-m", "rdad.train", "tracking=off", "dataset=folder", "dataset.normal=good")
SWEEP = ("hydra.mode=MULTIRUN", "seed=1,2")


def train(folder: Path, *arguments: str) -> commands.Done:
    """A run, or a sweep, that ends as soon as it has begun: there are no images."""
    (folder / "nowhere" / "good").mkdir(parents=True, exist_ok=True)
    return commands.run(*TRAIN, "dataset.root=nowhere", *arguments, folder=folder)


def live_in(folder: Path) -> None:
    with alone_in(folder):
        for name in ("lives", f"{DRAFT}model.pt"):
            (folder / name).touch()
        time.sleep(60)


@pytest.fixture
def neighbour() -> Iterator[Callable[[Path], BaseProcess]]:
    """Starts another process that lives in a folder."""
    started: list[BaseProcess] = []

    def start(folder: Path) -> BaseProcess:
        process = get_context("fork").Process(target=live_in, args=(folder,))
        process.start()
        started.append(process)
        while not (folder / f"{DRAFT}model.pt").exists():
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_another_process_is_kept_out_until_the_owner_is_dead_and_then_clears_up(
    tmp_path: Path, neighbour: Callable[[Path], BaseProcess]
) -> None:
    owner = neighbour(tmp_path)
    assert owner.pid is not None
    with pytest.raises(FolderInUseError, match=f"in use by process {owner.pid} on .*; wait"):
        alone_in(tmp_path).__enter__()
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    with alone_in(tmp_path), alone_in(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {os.getpid()} on ")
    assert [path.name for path in tmp_path.iterdir()] == ["lives"]


def test_a_folder_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    with alone_in(tmp_path / "not there"):
        pass
    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with alone_in(tmp_path):
        pass


@pytest.mark.parametrize("variable", RANKS)
def test_further_processes_of_a_distributed_run_share_the_folder(
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    neighbour: Callable[[Path], BaseProcess],
) -> None:
    neighbour(tmp_path)
    monkeypatch.setenv(variable, "1")
    with alone_in(tmp_path):
        pass


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [new_folder(tmp_path / "day" / "12-00-00").name for _ in range(3)]
    assert names == ["12-00-00", "12-00-00_2", "12-00-00_3"]


def test_a_folder_behind_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outputs").symlink_to(tmp_path / "not mounted")
    with pytest.raises(FileExistsError, match="outputs"):
        new_folder(tmp_path / "outputs" / "day" / "12-00-00")


def test_the_record_of_another_processes_run_is_left_alone(
    tmp_path: Path, neighbour: Callable[[Path], BaseProcess]
) -> None:
    RunRecord(tmp_path)
    neighbour(tmp_path)
    record_end(tmp_path, "failed", "not this one")
    assert read_record(tmp_path)["status"] == "running"


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_command_is_refused_the_folder_of_a_living_one_before_it_writes(
    kind: str, tmp_path: Path, neighbour: Callable[[Path], BaseProcess]
) -> None:
    (tmp_path / "mine").mkdir()
    neighbour(tmp_path / "mine")
    before = sorted((tmp_path / "mine").rglob("*"))
    several = SWEEP if kind == "sweep" else ()
    done = train(tmp_path, *several, f"hydra.{kind}.dir=mine")
    assert done.returncode == 1
    loading, refused = done.stderr.splitlines()
    assert loading == "rdad.train: loading libraries"
    assert refused.startswith("rdad.train: mine is in use by process ")
    assert sorted((tmp_path / "mine").rglob("*")) == before


def test_a_sweep_is_refused_while_a_job_of_it_outlives_the_first(
    tmp_path: Path, neighbour: Callable[[Path], BaseProcess]
) -> None:
    (tmp_path / "mine" / "0_seed-1").mkdir(parents=True)
    neighbour(tmp_path / "mine" / "0_seed-1")
    several = (*SWEEP, "hydra.sweep.dir=mine")
    done = train(tmp_path, *several)
    assert (done.returncode, done.stdout) == (1, "")
    assert "mine/0_seed-1 is in use by process" in done.stderr


@pytest.mark.parametrize("several", [(), SWEEP])
def test_commands_that_start_in_the_same_second_get_folders_of_their_own(
    several: tuple[str, ...], tmp_path: Path
) -> None:
    """The second of the clock is made a word, so that they surely meet."""
    kind = "sweep" if several else "run"
    same = f"hydra.{kind}.dir='out/${{now:now}}'"
    for _ in range(2):
        done = train(tmp_path, *several, same)
        assert done.returncode == 1
        assert "nowhere" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["now", "now_2"]
    if several:
        for name in ("now", "now_2"):
            jobs = sorted(path.name for path in (tmp_path / "out" / name).glob("*_*"))
            assert jobs == ["0_seed-1", "1_seed-2"]
    else:
        kept = OmegaConf.load(tmp_path / "out" / "now_2" / ".hydra" / "hydra.yaml")
        assert kept.hydra.run.dir == "out/now_2"


def test_a_user_whom_the_machine_does_not_know_gets_a_home_and_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    have_a_home()
    assert Path.home().is_dir() and getpass.getuser() == str(os.getuid())
    assert capsys.readouterr().err.startswith("no home folder is known: ")
    have_a_home()
    assert not capsys.readouterr().err

"""A folder belongs to one process at a time: its lock, and a name that nobody else has."""

import atexit
import errno
import fcntl
import getpass
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Literal, NoReturn

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rdad.runs.files import remove_drafts, resolved
from rdad.runs.names import expanded, visible

LOCK_FILE = ".lock"
BAD_INPUT = 1  # exit code
OF_THE_TIME = "${now:"  # in the name of a folder that is meant to be new
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # where Lightning looks

_held: set[Path] = set()
_until_exit = ExitStack()
atexit.register(_until_exit.close)


class FolderInUseError(OSError):
    """Another process writes into the folder."""


class OwnFolder(Callback):
    """Gives a run or a sweep its folder before Hydra, or anybody else, writes there.

    A folder named after the time is a new one; any other is taken as it is, unless another process
    lives in it: then the command is refused, and what is there stays as it was.
    """

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        _take(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        _take(config, "sweep")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of `folder`; within this process it may be asked for again.

    The lock ends with its process, however that ends; what a process left half written goes when
    the next one comes. The further processes of a distributed run share their first one's lock.
    Where there is no folder, or no lock to be had, nobody is kept out.

    Raises:
        FolderInUseError: another process is in there.
    """
    path = resolved(folder) / LOCK_FILE
    if path in _held or _is_further_process():
        yield
        return
    file = _locked(path, folder)
    _held.add(path)
    try:
        if file is not None:
            remove_drafts(folder)
        yield
    finally:
        _held.discard(path)
        if file is not None:
            with suppress(OSError):
                path.unlink()
            os.close(file)


def stay_in(folder: Path) -> None:
    """`alone_in` until this process ends; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _until_exit.enter_context(alone_in(folder))


def have_a_home() -> None:
    """Give a process of a user that the machine does not know a home and a name, for its length.

    Libraries ask for both, and end in a traceback without.
    """
    try:
        expanded("~")
    except FileNotFoundError:
        folder = _until_exit.enter_context(tempfile.TemporaryDirectory(prefix="rdad-home-"))
        os.environ["HOME"] = folder
        said = "no home folder is known: what is kept there (HOME, RDAD_CACHE_DIR) goes at the end"
        print(said, file=sys.stderr)
    try:
        getpass.getuser()
    except (OSError, KeyError):
        os.environ["LOGNAME"] = str(os.getuid())


def new_folder(wanted: Path) -> Path:
    """Make a folder of that name, with a number behind it where the name is taken."""
    folder, numbers = wanted, count(2)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            folder = wanted.with_name(f"{wanted.name}_{next(numbers)}")
        else:
            return folder


def _locked(path: Path, folder: Path) -> int | None:
    """The open lock file; None where there can be none. Its lock is no child process's."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(file, 1000).decode(errors="replace") or "another process"
            os.close(file)
            if error.errno not in (errno.EAGAIN, errno.EACCES):  # no locks in this file system
                return None
            raise FolderInUseError(
                f"{folder} is in use by {owner}; wait for its end, or name another folder"
            ) from error
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), path.stat()):
                os.truncate(file, 0)
                os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
                return file
        os.close(file)  # the one who had it took it away meanwhile


def _is_further_process() -> bool:
    """Of a distributed run, by the first variable that says so."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0") != "0"


def _refuse(config: DictConfig, message: str) -> NoReturn:
    print(visible(f"rdad.{config.hydra.job.name}: {message}"), file=sys.stderr)
    sys.exit(BAD_INPUT)


def _take(config: DictConfig, kind: Literal["run", "sweep"]) -> None:
    """Find the folder, and stay in it; Hydra then takes it from `config`, jobs from overrides."""
    if _is_further_process():
        return
    node = config.hydra[kind]
    named = Path(node.dir)
    try:
        folder = expanded(named)
        if OF_THE_TIME in OmegaConf.to_yaml(OmegaConf.masked_copy(node, "dir")):
            folder = new_folder(folder)
        stay_in(folder)
        tempfile.TemporaryFile(dir=folder).close()  # to know whether files can be written
        for lock in folder.glob(f"*/{LOCK_FILE}"):  # of jobs that outlived their sweep
            with alone_in(lock.parent):
                pass
    except FolderInUseError as error:
        _refuse(config, str(error))
    except OSError as error:
        said = f"cannot write into {named}: {error.strerror or error}"
        _refuse(config, f"{said}; name another folder by hydra.{kind}.dir=…")
    if folder != named:
        given = f"hydra.{kind}.dir={json.dumps(str(folder), ensure_ascii=False)}"
        with read_write(config), open_dict(config):
            node.dir = str(folder)
            config.hydra.overrides.hydra.append(given)

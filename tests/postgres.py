"""A PostgreSQL server of this machine's own programs, on a free port, that ends with its test."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import free_port

USER, PASSWORD = "mlflow", "p/w"  # a slash, as random passwords have
DEBIAN = "usr/lib/postgresql/*/bin"
UNPRIVILEGED = "nobody"  # PostgreSQL does not run as root
QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB")


@dataclass(frozen=True)
class Postgres:
    """A server, and the port of this machine on which it listens."""

    port: int

    def new_database(self, name: str) -> str:
        """The address of an empty database, without its password."""
        psycopg = pytest.importorskip("psycopg", reason="needs the extra `postgresql`")
        place = f"postgresql://{USER}@127.0.0.1:{self.port}"
        options = {"password": PASSWORD, "autocommit": True}
        with psycopg.connect(f"{place}/postgres", **options) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{place}/{name}"


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server without databases of its own; skips where there is no PostgreSQL."""
    programs, port = _programs(), free_port()
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={port}", *QUICK)
    with tempfile.TemporaryDirectory(prefix="rdad-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if user:
            shutil.chown(folder, user)

        def call(program: str, *words: object) -> None:
            command = [programs / program, "-D", folder / "data", *map(str, words)]
            with (folder / "output").open("a") as file:  # a pipe would wait for the server's end
                subprocess.run(command, user=user, cwd=folder, check=True, stdout=file, stderr=file)

        secret = ("--auth=scram-sha-256", f"--pwfile={folder / 'password'}")
        call("initdb", "-U", USER, "--no-sync", *secret)
        call("pg_ctl", "-w", "-o", " ".join(f"-c {one}" for one in settings), "start")
        try:
            yield Postgres(port)
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def _programs() -> Path:
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else sorted(Path("/").glob(DEBIAN))
    if not places:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    return places[-1]

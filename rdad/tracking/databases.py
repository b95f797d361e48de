"""MLflow's databases: SQLite files and PostgreSQL, whose first start processes share."""

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

SQLITE = "sqlite:///"
POSTGRESQL = ("postgresql", "postgres")  # as people write it; SQLAlchemy knows the first alone
DATABASES = ("sqlite", *POSTGRESQL, "mysql", "mssql")  # perhaps with +driver
DRIVERS = ("psycopg", "psycopg2")  # of PostgreSQL
LOCK_NUMBER = 7_204_210_103  # in PostgreSQL; any that other programs there do not take
LOCK_SECONDS = 120


def with_driver(uri: str) -> str:
    """The address; of PostgreSQL with a driver that is installed, as SQLAlchemy reads it.

    SQLAlchemy alone would choose the driver by its own version.

    Raises:
        ValueError: no driver is installed.
    """
    scheme, _, rest = uri.partition("://")
    if scheme not in POSTGRESQL:
        return uri
    installed = [driver for driver in DRIVERS if importlib.util.find_spec(driver)]
    if not installed:
        raise ValueError(
            f"{scheme}:// needs {DRIVERS[0]}, which is not installed: pip install "
            "'rdad[postgresql]', or in a checkout of rdad pip install '.[postgresql]'"
        )
    return f"{POSTGRESQL[0]}+{installed[0]}://{rest}"


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite address; None of any other."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def one_at_a_time(uri: str) -> contextlib.AbstractContextManager[object]:
    """Processes that meet an empty database take turns: MLflow's own initialisation crashes when
    two do it at once."""
    if uri.startswith(POSTGRESQL[0]):
        return _locked(uri)
    if (database := sqlite_file(uri)) is None:
        return contextlib.nullcontext()
    from filelock import FileLock

    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock", timeout=LOCK_SECONDS)


@contextlib.contextmanager
def _locked(uri: str) -> Iterator[None]:
    from sqlalchemy import NullPool, create_engine, func, select

    with create_engine(uri, poolclass=NullPool).connect() as connection:
        connection.execute(select(func.pg_advisory_lock(LOCK_NUMBER)))
        yield  # the lock ends with the connection


def make_sqlite(database: Path) -> None:
    """Make it elsewhere and put it in place whole: one that was left half made stays broken."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
        draft = Path(folder) / "mlflow.db"
        MlflowClient(tracking_uri=f"{SQLITE}{draft}")
        draft.replace(database)

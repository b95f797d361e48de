"""What deploy/compose.yaml starts, without containers: MLflow with users over PostgreSQL."""

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import commands
import numpy as np
import pytest
import requests
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image
from postgres import PASSWORD, Postgres, postgres_server
from servers import free_port, program, wait_for
from trained_runs import make_trained_run

from rdad import load_run
from rdad.tracking.models import register
from rdad.tracking.store import Store

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
USERS = ("ann", "bob")
SECRET = "not-a-password-of-anybody"
SWEEP = [
    *("-m", "rdad.train", "-m", "hydra.sweep.dir=sweep", "seed=1,2"),
    *("dataset=folder", "dataset.root=photos", "dataset.normal=good", "dataset.defects=bad"),
    *("dataset.category=bolt", "dataset.image_size=[64,64]", "dataset.calibration=0"),
    *("backbone=resnet18", "model.weights=null", "trainer=cpu", "trainer.max_steps=1"),
    *("tracking.log_model=false", "artifacts.maps=false", "artifacts.overlays=0"),
    "artifacts.report=false",
]


class Team(NamedTuple):
    """MLflow's address, and the folder of its artifacts."""

    address: str
    artifacts: Path


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def team(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The service `mlflow` of compose.yaml, with other addresses and folders, and two users."""
    pytest.importorskip("flask_wtf", reason="needs the extra `server`")
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    elsewhere = {
        "postgresql://mlflow@database/mlflow": postgres.new_database("mlflow"),
        "/app/deploy/users.ini": str(folder / "users.ini"),
        "0.0.0.0 --port 5000": f"127.0.0.1 --port {port}",
    }
    (folder / "users.ini").write_text(replaced((DEPLOY / "users.ini").read_text(), elsewhere))
    names = dict.fromkeys(("ADMIN_PASSWORD", "SECRET_KEY"), SECRET)
    names |= {"DATABASE_PASSWORD": PASSWORD, "ARTIFACTS": str(folder / "artifacts")}
    service = COMPOSE["services"]["mlflow"]
    words = shlex.split(replaced(filled(service["command"], names), elsewhere))
    variables = {
        key: replaced(filled(value, names), elsewhere)
        for key, value in service["environment"].items()
    }
    address = f"http://127.0.0.1:{port}"
    served = {"health": f"{address}/health", "log": folder / "log"}
    with program(*words, "--workers", "1", **served, **variables):
        for user in USERS:
            body = {"username": user, "password": SECRET}
            url = f"{address}/api/2.0/mlflow/users/create"
            requests.post(url, json=body, auth=("admin", SECRET), timeout=60).raise_for_status()
        yield Team(address, folder / "artifacts")


def service(
    name: str, names: dict[str, str], elsewhere: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Command and variables of compose.yaml, with the values of .env, and other places."""
    found = COMPOSE["services"][name]
    variables = found["environment"].items()
    return shlex.split(replaced(filled(found["command"], names), elsewhere)), {
        variable: replaced(filled(value, names), elsewhere) for variable, value in variables
    }


def filled(text: str, names: dict[str, str]) -> str:
    """With the values of an .env file, as compose has it: ${NAME}, ${NAME:-default}, ${NAME:?}."""

    def value(found: re.Match[str]) -> str:
        return names[found[1]] if found[1] in names else found[2].removeprefix(":-")

    return re.sub(r"\$\{(\w+)((?::[-?][^}]*)?)\}", value, text)


def replaced(text: str, elsewhere: dict[str, str]) -> str:
    for here, there in elsewhere.items():
        text = text.replace(here, there)
    return text


@pytest.fixture(scope="module")
def sweeps(team: Team, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two users sweep at once, ann with two jobs at a time; their folders."""
    folders = {user: tmp_path_factory.mktemp(user) for user in USERS}
    running = []
    for user, folder in folders.items():
        make_photos(folder / "photos", seed=len(user + folder.name))
        launcher = ["hydra/launcher=parallel"] if user == "ann" else []
        running.append(commands.Command([*SWEEP, *launcher], folder, **account(team, user)))
    for command in running:
        printed, errors = command.communicate(timeout=600)
        assert command.returncode == 0, printed + errors
    return {user: folder / "sweep" for user, folder in folders.items()}


def account(team: Team, user: str) -> dict[str, str]:
    names = {"USERNAME": user, "PASSWORD": SECRET, "URI": team.address}
    return {f"MLFLOW_TRACKING_{name}": value for name, value in names.items()} | {"LOGNAME": user}


def make_photos(folder: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for kind, count in (("good", 6), ("bad", 2)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")


@pytest.fixture
def client(team: Team, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow, as bob sees it."""
    for name, value in account(team, "bob").items():
        monkeypatch.setenv(name, value)
    return MlflowClient(tracking_uri=team.address)


@pytest.mark.usefixtures("sweeps")
def test_of_two_users_who_sweep_at_once_every_run_lies_under_its_parent(
    client: MlflowClient, team: Team
) -> None:
    group = client.get_experiment_by_name("folder")  # by the kind of data, for both
    assert group is not None
    runs = {run.info.run_id: run for run in client.search_runs([group.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parents = [run.data.tags.get("mlflow.parentRunId") for run in runs.values()]
    tops = [run_id for run_id, parent in zip(runs, parents, strict=True) if parent is None]
    assert sorted(map(parents.count, tops)) == [2, 2] and len(runs) == 6
    for run_id, parent in zip(runs, parents, strict=True):
        if parent is not None:
            users = {runs[one].data.tags["mlflow.user"] for one in (run_id, parent)}
            assert len(users) == 1 and users < set(USERS)
            sent = {entry.path for entry in client.list_artifacts(run_id)}
            assert {"metrics.json", "scores.csv"} <= sent
            assert list(team.artifacts.rglob(f"{run_id}/artifacts/metrics.json"))


def test_what_one_user_sent_another_registers_and_serves_and_cannot_delete(
    client: MlflowClient, team: Team, tmp_path: Path
) -> None:
    run_dir = make_trained_run(tmp_path / "run", experiment="made by ann")
    words = ["-m", "rdad.upload", str(run_dir)]
    done = commands.run(*words, folder=tmp_path, **account(team, "ann"))
    assert done.returncode == 0, done.stderr
    (group,) = [one for one in client.search_experiments() if one.name == "made by ann"]
    (run,) = client.search_runs([group.experiment_id])
    register(run.info.run_id, name="bolt", alias="champion", tracking_uri=team.address)
    Image.new("RGB", (64, 64)).save(tmp_path / "part.png")
    expected = load_run(run_dir).predict(tmp_path / "part.png").score
    assert asked(team, tmp_path / "part.png")["score"] == pytest.approx(expected)
    with pytest.raises(MlflowException, match="Permission denied"):
        client.delete_experiment(group.experiment_id)


def asked(team: Team, image: Path) -> dict[str, Any]:
    """What the service `model` of compose.yaml says of an image, while it runs."""
    port = free_port()
    names = {"SERVED_MODEL": "models:/bolt@champion"}
    names |= {"SERVED_USER": "bob", "SERVED_PASSWORD": SECRET}
    elsewhere = {"http://mlflow:5000": team.address, "0.0.0.0 port=5001": f"127.0.0.1 port={port}"}
    words, variables = service("model", names, elsewhere)
    process = commands.Command(words[1:], image.parent, **variables)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, process.stderr)
        with image.open("rb") as file:
            url = f"http://127.0.0.1:{port}/invocations"
            answer = requests.post(url, files={"image": file}, timeout=60)
    finally:
        process.kill()
        process.communicate()
    return answer.json()["predictions"][0]


def test_who_has_no_account_keeps_the_run_folder_and_is_told(team: Team, tmp_path: Path) -> None:
    run_dir = make_trained_run(tmp_path / "run")
    words = ["-m", "rdad.upload", str(run_dir)]
    done = commands.run(*words, folder=tmp_path, **account(team, "eve"))
    assert done.returncode == 1 and "401" in done.stderr, done.stderr


def test_an_address_of_postgresql_works_as_it_is_typed_also_for_two_that_start_it(
    postgres: Postgres, tmp_path: Path
) -> None:
    place = postgres.new_database("runs").partition("://mlflow@")[2]
    running = []
    for scheme in ("postgresql", "postgres"):
        run_dir = make_trained_run(tmp_path / scheme / "run")
        uri = f"{scheme}://mlflow:p%2Fw@{place}"
        words = ["-m", "rdad.upload", str(run_dir), "--uri", uri]
        running.append(commands.Command(words, run_dir.parent))
    for command in running:
        printed, errors = command.communicate()
        assert command.returncode == 0 and "p%2Fw" not in printed + errors, printed + errors
    client = Store(f"postgresql://mlflow:p%2Fw@{place}").open()
    groups = [group.experiment_id for group in client.search_experiments()]
    assert [run.info.status for run in client.search_runs(groups)] == ["FINISHED"] * 2


def test_compose_and_its_files_name_the_same_things() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    names = set(re.findall(r"\$\{(\w+)", text))
    assert names == set(re.findall(r"^#? ?(\w+)=", (DEPLOY / "env.example").read_text(), re.M))
    assert {name for one in services.values() for name in one.get("depends_on", ())} <= set(
        services
    )
    users = configparser.ConfigParser()
    users.read(DEPLOY / "users.ini")
    assert users["mlflow"]["database_uri"] in services["mlflow"]["command"]

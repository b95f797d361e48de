"""A search runs through Hydra, survives being killed, and ends in its best trial."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from omegaconf import OmegaConf
from toy_sweeps import jobs, make_app, sweep

from rdad.runs.folder import alone_in

if TYPE_CHECKING:
    from subprocess import CompletedProcess

optuna = pytest.importorskip("optuna", reason="needs the extra `optuna`")

SEARCH = ["hydra/sweeper=rdad_optuna", "hydra.sweeper.n_trials=8", "x=interval(-3, 3)"]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_app(tmp_path)


def search(app: Path, *overrides: str) -> "CompletedProcess[str]":
    return sweep(app, *SEARCH, *overrides)


def trials(app: Path, database: str = "sweep/optuna.db", name: str = "search") -> Sequence[Any]:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{app / database}").trials


def results(app: Path, folder: str = "sweep") -> dict[str, Any]:
    found = OmegaConf.to_container(OmegaConf.load(app / folder / "optimization_results.yaml"))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def test_a_search_that_was_killed_goes_on_with_its_sixth_trial(app: Path) -> None:
    killed = search(app, "kind=killed_at_5")
    assert killed.returncode == -9
    assert [trial.state.name for trial in trials(app)] == ["COMPLETE"] * 5 + ["RUNNING"]
    before = (app / "sweep/4/job.json").stat().st_mtime_ns
    done = search(app, "kind=killed_at_5")
    assert done.returncode == 0, done.stderr
    assert [trial.number for trial in trials(app)] == list(range(8))
    assert {trial.state.name for trial in trials(app)} == {"COMPLETE"}
    assert list(jobs(app)) == list(range(8))
    assert (app / "sweep/4/job.json").stat().st_mtime_ns == before

    never_killed = search(app, "hydra.sweep.dir=other")
    assert never_killed.returncode == 0, never_killed.stderr
    assert [trial.params for trial in trials(app, "other/optuna.db")] == [
        trial.params for trial in trials(app)
    ]


def test_a_folder_in_which_another_process_searches_is_refused(app: Path) -> None:
    (app / "sweep").mkdir()
    with alone_in(app / "sweep"):
        done = search(app)
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(app.glob("sweep/*/job.json"))


def test_the_best_trial_is_printed_and_written_down(app: Path) -> None:
    done = search(app, "y=range(0, 3)", "hydra.sweeper.n_trials=4")
    assert done.returncode == 0, done.stderr
    ran = jobs(app)
    values = {number: job["y"] - (job["x"] - 1) ** 2 for number, job in ran.items()}
    (best,) = results(app)["best"]
    assert best["trial"] == max(values, key=lambda number: values[number])
    assert best["values"] == [pytest.approx(max(values.values()))]
    assert best["params"] == {key: ran[best["trial"]][key] for key in ("x", "y")}
    assert f"x={best['params']['x']} y={best['params']['y']}" in done.stdout


def test_failed_trials_stop_no_other_and_are_replaced_when_the_search_goes_on(app: Path) -> None:
    done = search(app, "kind=fine,broken,undefined", "hydra.sweeper.n_trials=6")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    states = [trial.state.name for trial in trials(app)]
    failed = states.count("FAIL")
    assert len(states) == 6
    assert 0 < failed < 6
    assert f"{failed} trials failed" in done.stderr
    assert "RuntimeError: broken on purpose" in done.stderr
    assert "expected 1 finite number" in done.stderr

    more = search(app, "kind=fine", "hydra.sweeper.n_trials=6", "hydra.sweeper.study_name=other")
    assert more.returncode == 0, more.stderr
    again = search(app, "kind=fine,broken,undefined", f"hydra.sweeper.n_trials={6 - failed}")
    assert again.returncode == 0, again.stderr
    assert len(trials(app)) == 6


def test_two_objectives_end_in_the_trials_that_no_other_beats(app: Path) -> None:
    both = "hydra.sweeper.direction=[maximize,minimize]"
    done = search(app, "kind=two", both, "hydra.sweeper.sampler=nsgaii")
    assert done.returncode == 0, done.stderr
    found = [best["values"] for best in results(app)["best"]]
    every = [(-((job["x"] - 1) ** 2), abs(job["x"])) for job in jobs(app).values()]
    unbeaten = [
        one
        for one in every
        if not any(a > one[0] and b < one[1] for a, b in every if (a, b) != one)
    ]
    assert sorted(map(tuple, found)) == sorted(unbeaten)


def test_batches_run_side_by_side_in_parallel(app: Path) -> None:
    parallel = ["hydra/launcher=parallel", "hydra.launcher.preload=[]", "hydra.launcher.n_jobs=-1"]
    done = search(app, *parallel, "hydra.sweeper.n_trials=5")
    assert done.returncode == 0, done.stderr
    ran = jobs(app)
    assert list(ran) == list(range(5))
    assert f"Launching {min(os.cpu_count() or 1, 5)} jobs" in done.stdout


def test_a_study_in_a_database_of_its_own_goes_on_from_any_folder(app: Path) -> None:
    shared = ["hydra.sweeper.storage=sqlite:///mine.db", "hydra.sweeper.study_name=mine"]
    first = search(app, *shared, "hydra.sweeper.n_trials=2", "hydra.sweep.dir=one")
    assert first.returncode == 0, first.stderr
    second = search(app, *shared, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=two")
    assert second.returncode == 0, second.stderr
    assert len(trials(app, "mine.db", "mine")) == 3
    assert (list(jobs(app, "one")), list(jobs(app, "two"))) == ([0, 1], [2])


def test_the_same_seed_proposes_the_same(app: Path) -> None:
    proposed = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        chosen = [f"hydra.sweep.dir={folder}", f"hydra.sweeper.seed={seed}"]
        done = search(app, *chosen, "hydra.sweeper.n_trials=2")
        assert done.returncode == 0, done.stderr
        proposed.append([job["x"] for job in jobs(app, folder).values()])
    assert proposed[0] == proposed[1] != proposed[2]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["x=1"], "search space is empty"),
        (["hydra.sweeper.sampler=guess"], "sampler must be tpe or gp or nsgaii or random"),
        (["hydra.sweeper.direction=up"], "direction must be maximize or minimize; found 'up'"),
        (["hydra.sweeper.storage=sqlite:///a.db"], "study_name must be given"),
        (["hydra.sweeper.storage=nonsense", "hydra.sweeper.study_name=a"], "cannot be opened"),
        (["z=1,2"], "Could not override 'z'"),
        (["hydra.sweeper.direction=[maximize,minimize]"], "expected 2 finite numbers"),
    ],
)
def test_a_search_that_cannot_run_says_why(app: Path, overrides: list[str], said: str) -> None:
    done = search(app, *overrides)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_search_in_the_same_study_is_refused(app: Path) -> None:
    assert search(app, "kind=fine,other", "hydra.sweeper.n_trials=1").returncode == 0
    turned = search(app, "hydra.sweeper.direction=minimize")
    assert turned.returncode == 1
    assert "is to maximize" in turned.stderr
    choices = search(app, "kind=fine,undefined")
    assert choices.returncode == 1
    assert "searched another space" in choices.stderr
    assert "Traceback" not in choices.stderr
    done = search(app, "kind=fine,other", "hydra.sweeper.n_trials=2")
    assert done.returncode == 0, done.stderr
    assert [trial.state.name for trial in trials(app)] == ["COMPLETE", "FAIL", "COMPLETE"]

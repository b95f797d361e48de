"""A search as it grows: which trials to run next, what came of them, which were best."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdad.sweep.search.space import SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from rdad.sweep.search.space import Distribution

DATABASE = "optuna.db"
DIRECTIONS = ("maximize", "minimize")
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsgaii": "NSGAIISampler",
    "random": "RandomSampler",
}
SIGNIFICANT_DIGITS = 4  # of a value between two bounds, so that a folder's name stays readable


class Search:
    """An Optuna study in a database, asked for trials and told what came of them.

    A search that was killed goes on where it stood: trials that were running come first, under
    their old numbers. What is proposed follows from the seed, a trial's number and the results
    before it, so that a search that was stopped proposes what one that was not would have.

    Args:
        folder: The sweep's; the study stands there where `storage` is None.
        storage: Any database address that Optuna takes.
        study_name: Needed with `storage`, whose database others may use.
        directions: maximize or minimize, one for each objective.
        sampler: One of SAMPLERS.

    Raises:
        ValueError: an argument is not allowed, or the study in the database is another one.
    """

    def __init__(
        self,
        space: SearchSpace,
        folder: Path,
        *,
        directions: Sequence[str],
        sampler: str,
        seed: int,
        storage: str | None = None,
        study_name: str | None = None,
    ) -> None:
        _check_choice("sampler", sampler, SAMPLERS)
        for direction in directions:
            _check_choice("direction", direction, DIRECTIONS)
        if storage is not None and study_name is None:
            raise ValueError(
                "hydra.sweeper.study_name must be given with hydra.sweeper.storage, whose database "
                "may hold several studies"
            )
        self.space, self.folder = space, folder.absolute()
        self._sampler, self._seed, self._shared = sampler, seed, storage is not None
        self._failed_now = 0
        self._study = _open_study(
            storage or f"sqlite:///{self.folder / DATABASE}", study_name or "search", directions
        )
        self._left_running = self._taken_over()

    def ask(self, count: int, *, n_trials: int) -> dict[int, dict[str, Any]]:
        """What to run next, by the trials' numbers the values that they try.

        `count` at most; nothing where the study has its `n_trials`. Trials that failed count in
        the process that saw them fail. A later one replaces them.
        """
        remaining = n_trials - len(self._trials("COMPLETE")) - self._failed_now
        proposals = {}
        for _ in range(min(count, remaining)):
            trial = self._left_running.pop(0) if self._left_running else self._new_trial()
            proposals[trial.number] = self._short(trial.params)
        return proposals

    def tell(self, number: int, returned: Any) -> list[float]:
        """What a trial's job gave: its objective, or several, which are returned.

        Raises:
            ValueError: not one number for each direction. The trial has then failed.
        """
        values = list(returned) if isinstance(returned, list | tuple) else [returned]
        objectives = len(self._study.directions)
        finite = [isinstance(value, int | float) and math.isfinite(value) for value in values]
        if len(values) != objectives or not all(finite):
            self.tell_failed(number)
            raise ValueError(
                f"the job gave {values}; expected {objectives} finite "
                f"number{'s' if objectives > 1 else ''}, one for each hydra.sweeper.direction"
            )
        self._study.tell(number, values)
        return values

    def tell_failed(self, number: int) -> None:
        """A trial came to nothing; it is not proposed again."""
        self._failed_now += 1
        self._fail(number)

    def results(self) -> dict[str, Any]:
        """How many trials there are of each state, and the best; with several objectives those that
        no other beats in all of them."""
        states = [trial.state.name.lower() for trial in self._study.get_trials(deepcopy=False)]
        best = self._study.best_trials if "complete" in states else []
        return {
            "name": "optuna",
            "study_name": self._study.study_name,
            "directions": [direction.name.lower() for direction in self._study.directions],
            "trials": {state: states.count(state) for state in sorted(set(states))},
            "best": [
                {"trial": one.number, "values": one.values, "params": self._short(one.params)}
                for one in best
            ],
        }

    def _trials(self, state: str) -> "list[FrozenTrial]":
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.name == state]

    def _new_trial(self) -> "Trial":
        number = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = _make_sampler(self._sampler, seed=self._seed * 10_000 + number)
        try:
            trial = self._study.ask({**self.space.distributions})
        except ValueError as error:
            self._fail(number)
            raise ValueError(
                f"the study's earlier trials searched another space ({error}); "
                "choose another hydra.sweeper.study_name or folder"
            ) from error
        trial.set_user_attr("sweep_folder", str(self.folder))
        return trial

    def _taken_over(self) -> "list[FrozenTrial]":
        """Trials that a process now gone was running in this folder, where only one can.

        One that was killed before it had proposed all values, or in another space, is of no use.
        """
        useful = []
        for trial in self._trials("RUNNING"):
            if self._shared and trial.user_attrs.get("sweep_folder") != str(self.folder):
                continue
            if trial.distributions == self.space.distributions:
                useful.append(trial)
            else:
                self._fail(trial.number)
        return useful

    def _fail(self, number: int) -> None:
        from optuna.trial import TrialState

        self._study.tell(number, state=TrialState.FAIL)

    def _short(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Values in the order of the space, floats no longer than they need to be."""
        spaces = self.space.distributions
        return {key: _rounded(params[key], spaces[key]) for key in spaces if key in params}


def _rounded(value: Any, distribution: "Distribution") -> Any:
    from optuna.distributions import FloatDistribution

    if not isinstance(distribution, FloatDistribution):
        return value
    if distribution.step is not None:
        return float(f"{value:.10g}")  # 0.3 for 0.1 + 2 * 0.1
    shortened = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return min(max(shortened, distribution.low), distribution.high)


def _check_choice(key: str, found: str, allowed: Iterable[str]) -> None:
    if found not in allowed:
        raise ValueError(f"hydra.sweeper.{key} must be {' or '.join(allowed)}; found {found!r}")


def _open_study(storage: str, study_name: str, directions: Sequence[str]) -> "Study":
    """The study of that name, made where there is none.

    Raises:
        ValueError: it has other directions, or the database cannot be opened.
    """
    import optuna
    from optuna.study import StudyDirection
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=study_name,
            directions=[StudyDirection[one.upper()] for one in directions],
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError) as error:
        raise ValueError(f"hydra.sweeper.storage {storage} cannot be opened: {error}") from error
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise ValueError(
            f"the study {study_name!r} in {storage} is to {', '.join(found)}; found "
            f"hydra.sweeper.direction {', '.join(directions)}; name another study_name or folder"
        )
    return study


def _make_sampler(name: str, *, seed: int) -> "BaseSampler":
    """Made anew for each trial: what it remembers of earlier ones stands in the database."""
    from optuna import samplers

    # constant_liar: trials of one batch keep away from each other
    options = {"constant_liar": True} if name == "tpe" else {}
    return getattr(samplers, SAMPLERS[name])(seed=seed, **options)

"""A Hydra sweeper that asks Optuna what to try next and tells it what came of it."""

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

from hydra_plugins.rdad.launcher import reason
from rdad.sweep.search.space import search_space, varied
from rdad.sweep.search.study import only_process
from rdad.sweep.search.trials import Proposal, Search

log = logging.getLogger(__name__)

RESULTS_FILE = "optimization_results.yaml"


class SearchError(CompactHydraException):
    """The search cannot run, or not all of it did; Hydra prints the message alone."""


class OptunaSweeper(Sweeper):
    """Trials in batches through the launcher, over Optuna's ask and tell.

    The published Optuna sweeper needs an Optuna whose databases no longer work.

    Args:
        params: What varies, in Hydra's override syntax; the command line adds and wins.
        direction: maximize or minimize, or one for each number that a job gives.
        n_trials: How many results the study is to have.
        n_jobs: Trials asked for at a time, which the launcher runs together; -1 is as joblib's,
            one for each core.
        study: sampler, seed, storage and study_name, as of `rdad.sweep.search.trials.Search`.
    """

    def __init__(
        self,
        params: DictConfig | None,
        direction: str | ListConfig,
        n_trials: int,
        n_jobs: int,
        **study: Any,
    ) -> None:
        self._params = dict(params or {})
        self._directions = [direction] if isinstance(direction, str) else list(direction)
        self._n_trials, self._study = n_trials, study
        self._n_jobs = n_jobs if n_jobs > 0 else os.cpu_count() or 1
        self._failures: dict[str, list[int]] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.config = hydra_context, config
        self._parser = OverridesParser.create(config_loader=hydra_context.config_loader)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run what the study lacks, batch after batch, and write down the best.

        Raises:
            SearchError: the search cannot run as configured, or some of its trials failed.
        """
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        texts = [f"{key}={value}" for key, value in self._params.items()] + arguments
        returns: list[Sequence[JobReturn]] = []
        try:
            space = search_space(self._parser.parse_overrides(texts))
            self.validate_batch_is_legal(space.samples())
            with only_process(folder):
                search = Search(space, folder, directions=self._directions, **self._study)
                while proposals := search.ask(self._n_jobs, n_trials=self._n_trials):
                    returns += [self._run(search, run) for run in _consecutive(proposals)]
        except ModuleNotFoundError as error:
            raise SearchError(
                f"hydra/sweeper=rdad_optuna needs {error.name}, which is not installed: "
                "pip install 'rdad[optuna]', or in a checkout pip install '.[optuna]'"
            ) from error
        except ValueError as error:
            raise SearchError(f"Optuna sweeper: {error}") from error
        self._report(search, folder)
        return returns

    def _run(self, search: Search, proposals: list[Proposal]) -> Sequence[JobReturn]:
        """Jobs with the numbers of their trials, which the launcher counts up from the first."""
        jobs = [search.space.job(proposal.params) for proposal in proposals]
        assert self.launcher is not None
        returns = self.launcher.launch(jobs, initial_job_idx=proposals[0].number)
        for proposal, job in zip(proposals, returns, strict=True):
            self._tell(search, proposal, job)
        return returns

    def _tell(self, search: Search, proposal: Proposal, job: JobReturn) -> None:
        """Failures are told too, and stop no other trial."""
        what = f"trial {proposal.number} ({' '.join(varied(proposal.params))})"
        try:
            if job.status != JobStatus.COMPLETED:
                search.tell_failed(proposal)
                raise job._return_value
            values = _numbers(job.return_value)
            search.tell(proposal, values)
            log.info("%s: %s", what, ", ".join(f"{value:.6g}" for value in values))
        except Exception as error:
            self._failures.setdefault(reason(error), []).append(proposal.number)
            log.warning("%s failed: %s", what, reason(error))

    def _report(self, search: Search, folder: Path) -> None:
        results = search.results()
        OmegaConf.save(OmegaConf.create(results), folder / RESULTS_FILE)
        counts = ", ".join(f"{count} {state}" for state, count in results["trials"].items())
        log.info("%s: %s; written to %s", results["study_name"], counts, folder / RESULTS_FILE)
        for best in results["best"]:
            values = ", ".join(f"{value:.6g}" for value in best["values"])
            log.info("best: %s  %s", values, " ".join(varied(best["params"])))
        if self._failures:
            lines = [f"  {', '.join(map(str, of))}: {said}" for said, of in self._failures.items()]
            count = sum(map(len, self._failures.values()))
            raise SearchError("\n".join([f"{count} trials failed", *lines]))


def _consecutive(proposals: list[Proposal]) -> Iterator[list[Proposal]]:
    """Runs of neighbouring numbers: one, but for trials that an earlier process left behind."""
    places = enumerate(proposals)
    for _, run in groupby(places, key=lambda place: place[1].number - place[0]):
        yield [proposal for _, proposal in run]


def _numbers(returned: Any) -> list[float]:
    """What a job gave: its objective, or several.

    Raises:
        ValueError: it gave something else.
    """
    several = returned if isinstance(returned, list | tuple) else [returned]
    if not all(isinstance(value, int | float) for value in several):
        raise ValueError(f"the job gave {returned!r}; expected its objective, a number")
    return [float(value) for value in several]

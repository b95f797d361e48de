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
from rdad.runs.folder import FolderInUseError, alone_in
from rdad.sweep.search.space import search_space, varied
from rdad.sweep.search.trials import Search

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
        n_jobs: Trials asked for at a time, which the launcher runs together; -1 is
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
            with alone_in(folder):  # two processes would run the same trials
                search = Search(space, folder, directions=self._directions, **self._study)
                while proposals := search.ask(self._n_jobs, n_trials=self._n_trials):
                    returns += [self._run(search, run) for run in _consecutive(proposals)]
        except ModuleNotFoundError as error:
            raise SearchError(
                f"hydra/sweeper=rdad_optuna needs {error.name}, which is not installed: "
                "pip install 'rdad[optuna]', or in a checkout pip install '.[optuna]'"
            ) from error
        except (ValueError, FolderInUseError) as error:
            raise SearchError(f"Optuna sweeper: {error}") from error
        self._report(search, folder)
        return returns

    def _run(self, search: Search, proposals: dict[int, dict[str, Any]]) -> Sequence[JobReturn]:
        """Jobs with the numbers of their trials, which the launcher counts up from the first.

        What comes of each is told to the study; failures too, and they stop no other trial.
        """
        jobs = [search.space.job(params) for params in proposals.values()]
        assert self.launcher is not None
        returns = self.launcher.launch(jobs, initial_job_idx=min(proposals))
        for (number, params), job in zip(proposals.items(), returns, strict=True):
            what = f"trial {number} ({' '.join(varied(params))})"
            try:
                if job.status != JobStatus.COMPLETED:
                    search.tell_failed(number)
                    raise job._return_value
                log.info("%s: %s", what, _numbers(search.tell(number, job.return_value)))
            except Exception as error:
                self._failures.setdefault(reason(error), []).append(number)
                log.warning("%s failed: %s", what, reason(error))
        return returns

    def _report(self, search: Search, folder: Path) -> None:
        results = search.results()
        OmegaConf.save(OmegaConf.create(results), folder / RESULTS_FILE)
        counts = ", ".join(f"{count} {state}" for state, count in results["trials"].items())
        log.info("%s: %s; written to %s", results["study_name"], counts, folder / RESULTS_FILE)
        for best in results["best"]:
            log.info("best: %s  %s", _numbers(best["values"]), " ".join(varied(best["params"])))
        if self._failures:
            lines = [f"  {', '.join(map(str, of))}: {said}" for said, of in self._failures.items()]
            count = sum(map(len, self._failures.values()))
            raise SearchError("\n".join([f"{count} trials failed", *lines]))


def _consecutive(proposals: dict[int, dict[str, Any]]) -> Iterator[dict[int, dict[str, Any]]]:
    """Runs of neighbouring numbers: one, but for trials that an earlier process left behind."""
    for _, run in groupby(enumerate(proposals), key=lambda place: place[1] - place[0]):
        yield {number: proposals[number] for _, number in run}


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)

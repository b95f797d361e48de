"""python -m rdad.train: fit, test, save and track one run, or sweep over many."""

import math
import shlex
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rdad.config.compose import CONF_DIR
from rdad.config.help import app_help
from rdad.config.mistakes import ConfigError
from rdad.config.schema import TRAIN_SECONDS
from rdad.config.spelling import spelled
from rdad.experiment.precheck import check_command, check_groups
from rdad.experiment.resume import replayed
from rdad.experiment.run import RunResult, run
from rdad.results.text_table import metrics_table, short
from rdad.runs.ending import (
    asks_for_help,
    end_in_order_when_terminated,
    end_with_its_reader,
    failed_job,
    leave_to_their_logs,
    only_shows,
    reader_may_leave,
    record_end,
    why_stopped,
)
from rdad.runs.folder import have_a_home
from rdad.runs.names import let_print_any_name, visible
from rdad.sweep.categories import with_categories
from rdad.sweep.comparison import TITLES
from rdad.sweep.plan import check_strategy_in_sweep
from rdad.sweep.report import report_sweep

BAD_INPUT, UNTRACKED, INTERRUPTED = 1, 3, 130  # exit codes


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")
def main(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """One job of the command line; gives its objective, or several, to Hydra's sweeper."""
    let_print_any_name()
    hydra_config = HydraConfig.get()
    output_dir = Path(hydra_config.runtime.output_dir)
    try:
        if hydra_config.mode == RunMode.MULTIRUN:
            leave_to_their_logs()
            check_strategy_in_sweep(cfg.trainer.strategy, cfg.trainer.devices)
        result = run(cfg, output_dir)
    except (KeyboardInterrupt, SystemExit) as stop:
        record_end(output_dir, "interrupted", why_stopped(stop) or "")
        print(f"interrupted; what there is stands in {short(output_dir)}", file=sys.stderr)
        raise
    except Exception as error:
        if hydra_config.mode == RunMode.MULTIRUN:
            raise failed_job(output_dir, error) from error
        if not _is_users(error):
            raise
        print(visible(f"rdad.train: {error}"), file=sys.stderr)
        sys.exit(BAD_INPUT)
    if not result.metrics:  # a distributed run's further processes
        return None
    with reader_may_leave():
        print(job_line(result) if hydra_config.mode == RunMode.MULTIRUN else summary(result))
    if result.tracking_error is not None and hydra_config.mode == RunMode.RUN:
        sys.exit(UNTRACKED)
    values = {TRAIN_SECONDS: result.train_seconds, **result.metrics}
    names = [cfg.objective] if isinstance(cfg.objective, str) else cfg.objective
    found = [values.get(name, math.nan) for name in names]  # not every data set has au_spro
    return found[0] if len(found) == 1 else tuple(found)


def summary(result: RunResult) -> str:
    """The metrics, what they mean, the run folder, and what to type to see the run."""
    from rdad.results.meaning import meaning  # whose files' names come with numpy

    folder = short(result.output_dir)
    lines = [metrics_table(result.metrics, result.thresholds)]
    lines += meaning(result.output_dir, result.metrics, folder)
    lines.append(f"run folder  {folder}")
    if result.tracking_error is not None:
        lines.append(f"not in MLflow: {result.tracking_error}")
        lines.append(f"send it later with  python -m rdad.upload {shlex.quote(str(folder))}")
    elif result.ui_command is not None:
        lines.append(f"MLflow      {result.ui_command}")
        lines.append(f"            {result.page}")
    return "\n".join(lines)


def job_line(result: RunResult) -> str:
    """What a job of a sweep came to; the sweep's end has the rest."""
    figures = [
        f"{name} {result.metrics[f'test/{key}']:.4f}"
        for key, name in TITLES.items()
        if not math.isnan(result.metrics.get(f"test/{key}", math.nan))
    ]
    seconds = [f"trained in {result.train_seconds:.0f} s"]
    return visible(f"{result.output_dir.name}: {', '.join(figures + seconds)}")


def _is_users(error: Exception) -> bool:
    """Whether the message alone says what to change."""
    if isinstance(error, ConfigError | OSError):
        return True
    from rdad.data import DataError

    return isinstance(error, DataError)


def command() -> None:
    """The command line: `resume=` and `resume_sweep=` stand for the command that was stopped.

    Paths and names are taken as they stand, see `rdad.config.spelling.spelled`.
    """
    end_with_its_reader(sys.argv[1:])
    have_a_home()
    try:
        check_groups(sys.argv[1:])
        sys.argv[1:] = with_categories(spelled(replayed(sys.argv[1:])))
        cfg = check_command(sys.argv[1:])
    except (OSError, ValueError) as error:
        print(visible(f"rdad.train: {error}"), file=sys.stderr)
        sys.exit(BAD_INPUT)
    if cfg is not None and asks_for_help(sys.argv[1:]):
        print(app_help(cfg))
        return
    end_in_order_when_terminated()
    if not only_shows(sys.argv[1:]):
        print("rdad.train: loading libraries", file=sys.stderr, flush=True)  # which takes a while
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        tracked = report_sweep()
    if not tracked:
        sys.exit(UNTRACKED)


if __name__ == "__main__":
    command()

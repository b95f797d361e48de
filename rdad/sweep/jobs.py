"""The jobs of a sweep, read from their folders: what was varied, how each ended, what it gave."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rdad.runs.files import read_metrics
from rdad.runs.record import RECORD_FILE, overrides, read_record

Value: TypeAlias = str | int | float
FINISHED = "finished"
UNFINISHED = "killed or still running"  # a killed process could not write down that it ended
HYDRA_FOLDER = ".hydra"
LOG_FILE = "train.log"


@dataclass(frozen=True)
class Job:
    """One run folder of a sweep.

    Attributes:
        status: finished, failed, interrupted, or running, which a job that was killed is called
            too.
        reason: One line on why it has no result; empty for a finished job.
        params: What run.json says of the setting; empty for a job that failed before it was known.
        changed: What the command line set.
        metrics: The overall metrics without their `test/`; empty without a result.
        record: All of run.json.
    """

    folder: Path
    status: str
    reason: str
    params: Mapping[str, Value]
    changed: Mapping[str, str]
    metrics: Mapping[str, float]
    record: Mapping[str, Any]


def read_jobs(folders: Iterable[Path]) -> list[Job]:
    """All jobs at or below the folders, in the order of their numbers.

    Raises:
        FileNotFoundError: a folder is not there, or there is no run in any of them.
    """
    searched = list(folders)
    missing = [str(folder) for folder in searched if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(f"no folder {', '.join(missing)}")
    found = {run_dir.resolve(): run_dir for folder in searched for run_dir in _run_dirs(folder)}
    if not found:
        raise FileNotFoundError(
            f"no run in {', '.join(map(str, searched))}; expected the folder of a sweep, with a "
            f"{RECORD_FILE} in the folder of each job, as under multirun/<date>/<time>"
        )
    return [_job(run_dir) for run_dir in sorted(found.values(), key=_natural)]


def job_names(jobs: Sequence[Job]) -> list[str]:
    """The folders of the jobs, from the folder that all have in common."""
    folders = [job.folder.resolve() for job in jobs]
    above = os.path.commonpath([folder.parent for folder in folders])
    return [str(folder.relative_to(above)) for folder in folders]


def swept(jobs: Sequence[Job]) -> dict[str, list[Value | None]]:
    """What differs between jobs, in the order of the command line: a value a job.

    What the command line varied comes first. Of the other parameters that differ, those are left
    out that only give a known difference another name, as the weights of each backbone. None
    where a job failed before its setting was known.
    """
    columns: dict[str, list[Value | None]] = {}
    for key in dict.fromkeys(key for job in jobs for key in job.changed):
        name = key.rpartition(".")[2]
        given: list[Value | None] = [job.changed.get(key) for job in jobs]
        if len(set(given)) > 1 or _differ(job.params.get(name) for job in jobs):
            named = [job.params.get(name, job.changed.get(key)) for job in jobs]
            is_named = len(set(named)) > 1  # not so dataset.seed beside the parameter seed
            columns.setdefault(*((name, named) if is_named else (key, given)))
    for name in dict.fromkeys(name for job in jobs for name in job.params):
        values = [job.params.get(name) for job in jobs]
        if _differ(values) and not any(_renames(values, other) for other in columns.values()):
            columns.setdefault(name, values)
    return columns


def _run_dirs(folder: Path) -> list[Path]:
    """Also of jobs that ended before they could write a run.json: Hydra's folder is there."""
    recorded = {path.parent for path in folder.rglob(RECORD_FILE)}
    begun = {path.parent for path in folder.rglob(HYDRA_FOLDER) if path.is_dir()}
    return [*recorded | begun]


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that job 10 comes behind job 9."""
    parts = re.findall(r"\d+|\D+", str(path.resolve()))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _job(run_dir: Path) -> Job:
    try:
        record = read_record(run_dir)
    except (FileNotFoundError, ValueError):
        record = {}
    status = record.get("status", "running")
    metrics: Mapping[str, float] = {}
    reason = "" if status == FINISHED else record.get("reason", UNFINISHED)
    if status == FINISHED:
        try:
            metrics = _overall(read_metrics(run_dir))
        except (FileNotFoundError, ValueError) as error:
            status, reason = "failed", str(error)
    return Job(
        folder=run_dir,
        status=status,
        reason=" ".join(reason.split()),
        params=record.get("params", {}),
        changed=_changed(run_dir),
        metrics=metrics,
        record=record,
    )


def _overall(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without those of single defect types."""
    return {
        name.removeprefix("test/"): value for name, value in metrics.items() if name.count("/") == 1
    }


def _changed(run_dir: Path) -> dict[str, str]:
    try:
        parsed = OverridesParser.create().parse_overrides(overrides(run_dir))
    except HydraException:
        return {}
    return {
        one.key_or_group: str(one.get_value_string())
        for one in parsed
        if one.key_or_group != "resume"  # how a job was run, not what it computes
    }


def _differ(values: Iterable[Value | None]) -> bool:
    return len({value for value in values if value is not None}) > 1


def _renames(values: Sequence[Value | None], other: Sequence[Value | None]) -> bool:
    """Whether two columns differ in what they call things only."""
    pairs = {pair for pair in zip(values, other, strict=True) if None not in pair}
    return len(pairs) == len({one for one, _ in pairs}) == len({one for _, one in pairs})

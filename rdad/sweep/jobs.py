"""The jobs of a sweep, read from their folders: what was varied, how each ended, what it gave."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from hydra.core.override_parser.overrides_parser import OverridesParser

from rdad.runs.files import DRAFT, METRICS_FILE, read_metrics
from rdad.runs.record import RECORD_FILE, overrides, read_record

Value: TypeAlias = str | int | float
FINISHED = "finished"
UNFINISHED = "killed or still running"  # a killed process could not write down that it ended
COSTS = ("train_seconds", "images_per_second", "peak_memory_mib")
MEBIBYTE = 1024**2


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
        costs: Of each of COSTS; nan without a result.
        record: All of run.json.
        name: Its folder, from the folder that all jobs have in common.
        setting: What tells it from the others, as `swept` says.
    """

    folder: Path
    status: str
    reason: str
    params: Mapping[str, Value] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(COSTS, math.nan))
    record: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    setting: Mapping[str, Value | None] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it has a result."""
        return self.status == FINISHED

    @property
    def reused(self) -> bool:
        """Whether the training, and so its seconds, were another run's."""
        return self.record.get("reused_from") is not None


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
    folders = sorted(found, key=_natural)
    jobs = [_job(found[folder]) for folder in folders]
    above, columns = os.path.commonpath([folder.parent for folder in folders]), swept(jobs)
    return [
        replace(
            job,
            name=str(folder.relative_to(above)),
            setting={key: values[place] for key, values in columns.items()},
        )
        for place, (folder, job) in enumerate(zip(folders, jobs, strict=True))
    ]


def swept(jobs: Sequence[Job]) -> dict[str, list[Value | None]]:
    """What differs between jobs, in the order of the command line: a value a job.

    What the command line varied comes first. Of the other parameters that differ, those are left
    out that only give a known difference another name, as the weights of each backbone. None
    where a job failed before its setting was known.
    """
    columns: dict[str, list[Value | None]] = {}
    keys = dict.fromkeys(key for job in jobs for key in job.changed)
    names = [key.rpartition(".")[2] for key in keys]
    for key, name in zip(keys, names, strict=True):
        given: list[Value | None] = [job.changed.get(key) for job in jobs]
        named = [job.params.get(name, job.changed.get(key)) for job in jobs]
        varies = len(set(given)) > 1
        differs = varies or _differ(job.params.get(name) for job in jobs)
        is_own = names.count(name) == 1 or _follows(named, given)
        if is_own and differs and len(set(named)) > 1:
            columns.setdefault(name, named)
        elif varies:  # dataset.seed beside the parameter seed
            columns.setdefault(key, given)
    for name in dict.fromkeys(name for job in jobs for name in job.params):
        values = [job.params.get(name) for job in jobs]
        if _differ(values) and not any(renames(values, other) for other in columns.values()):
            columns.setdefault(name, values)
    return columns


def _run_dirs(folder: Path) -> list[Path]:
    """Also of jobs that ended before they could write a run.json: Hydra's folder is there.

    A draft is no job, as the model that a run, which may have been killed, sends with its record.
    """
    recorded = {path.parent for path in folder.rglob(RECORD_FILE)}
    begun = {path.parent for path in folder.rglob(".hydra") if path.is_dir()}
    return [one for one in recorded | begun if not _is_draft(one.relative_to(folder))]


def _is_draft(place: Path) -> bool:
    return any(part.startswith(DRAFT) for part in place.parts)


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that job 10 comes behind job 9."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _job(run_dir: Path) -> Job:
    """One that another program or a broken disk left has failed, and costs no other its place."""
    facts: dict[str, Any] = {}
    try:
        record = facts["record"] = _record(run_dir)
        facts |= {"params": record.get("params", {}), "changed": _changed(run_dir)}
        status, reason = record.get("status", "running"), record.get("reason", UNFINISHED)
        if status == FINISHED:
            reason = ""
            facts |= {"metrics": _metrics(run_dir), "costs": _costs(record)}
    except (FileNotFoundError, ValueError) as error:
        status, reason = "failed", str(error)
    except Exception as error:
        status, reason = "failed", f"its files cannot be read: {type(error).__name__}: {error}"
    return Job(run_dir, status, " ".join(reason.split()), **facts)


def _record(run_dir: Path) -> dict[str, Any]:
    """run.json; empty where the job ended before it could write one."""
    return read_record(run_dir) if (run_dir / RECORD_FILE).is_file() else {}


def _metrics(run_dir: Path) -> dict[str, float]:
    """The overall ones, without those of single defect types."""
    found = read_metrics(run_dir)
    metrics = {name.removeprefix("test/"): found[name] for name in found if name.count("/") == 1}
    if not metrics or any(map(math.isinf, metrics.values())):
        raise ValueError(
            f"{run_dir / METRICS_FILE} has an infinite metric, or none over all images"
        )
    return metrics


def _costs(record: Mapping[str, Any]) -> dict[str, float]:
    measured = {name: float(record.get(name, math.nan)) for name in COSTS[:2]}
    return measured | {COSTS[2]: record.get("peak_memory_bytes", math.nan) / MEBIBYTE}


def _changed(run_dir: Path) -> dict[str, str]:
    """All but `resume`, which is how a job was run and not what it computes."""
    parsed = OverridesParser.create().parse_overrides(overrides(run_dir))
    given = {one.key_or_group: str(one.get_value_string()) for one in parsed}
    return {key: value for key, value in given.items() if key != "resume"}


def _differ(values: Iterable[Value | None]) -> bool:
    return len({value for value in values if value is not None}) > 1


def _follows(values: Sequence[Value | None], given: Sequence[Value | None]) -> bool:
    """Whether each that was given went with one value alone."""
    pairs = {pair for pair in zip(given, values, strict=True) if None not in pair}
    return len(pairs) == len({one for one, _ in pairs})


def renames(values: Sequence[Value | None], other: Sequence[Value | None]) -> bool:
    """Whether two columns differ in what they call things only."""
    return _follows(values, other) and _follows(other, values)

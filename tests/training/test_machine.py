"""Cores and memory of a machine that is shared with others."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from rdad.training.machine import free_cores, free_memory, use_threads

MIB = 2**20


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of which others use three."""
    monkeypatch.setattr(psutil, "cpu_count", lambda: 8)
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 37.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def write(folder: Path, controller: str, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{controller}.{name}").write_text(f"{content}\n")


def in_group(root: Path, line: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line + "\n")


@pytest.mark.parametrize(
    ("quota", "free"), [(None, 5), ("max 100000", 5), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_free_is_what_others_leave_and_a_container_allows(
    tmp_path: Path, quota: str | None, free: int
) -> None:
    in_group(tmp_path, "0::/")
    if quota:
        write(tmp_path / "sys/fs/cgroup", "cpu", max=quota)
    assert free_cores(tmp_path) == free


def test_a_clusters_job_takes_no_more_than_any_group_that_it_is_in(tmp_path: Path) -> None:
    in_group(tmp_path, "1:name=systemd:/\n0::/slurm/job_7/step_0")
    step = tmp_path / "sys/fs/cgroup/slurm/job_7/step_0"
    write(step, "cpu", max="max 100000")
    assert free_cores(tmp_path) == 5
    write(step.parent, "cpu", max="300000 100000")
    assert free_cores(tmp_path) == 3
    write(step, "cpu", max="200000 100000")
    assert free_cores(tmp_path) == 2


@pytest.mark.parametrize(("microseconds", "free"), [(-1, 5), (400000, 4)])
def test_the_quota_of_the_first_version_of_control_groups_counts(
    tmp_path: Path, microseconds: int, free: int
) -> None:
    in_group(tmp_path, "4:cpu,cpuacct:/job")
    group = tmp_path / "sys/fs/cgroup/cpu,cpuacct/job"
    write(group, "cpu", cfs_quota_us=microseconds, cfs_period_us=100000)
    assert free_cores(tmp_path) == free


def test_one_core_is_taken_where_none_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 100.0)
    assert free_cores(tmp_path) == 1


def test_threads_are_those_that_are_wanted_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rdad.training.machine.free_cores", lambda: 2)
    torch.set_num_threads(3)
    use_threads(None)
    assert torch.get_num_threads() == 3
    with caplog.at_level(logging.INFO):
        use_threads(0)
    assert torch.get_num_threads() == 2 and "threads=0: computing with 2 of 3" in caplog.text
    use_threads(4)
    assert torch.get_num_threads() == 4


def test_a_launchers_share_is_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdad.training.machine.free_cores", lambda: 5)
    torch.set_num_threads(1)
    use_threads(0)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("of_parent", [False, True])
def test_the_limit_of_a_group_or_of_one_above_it_counts(tmp_path: Path, of_parent: bool) -> None:
    in_group(tmp_path, "0::/jobs/7")
    groups = tmp_path / "sys/fs/cgroup/jobs"
    limited, free = (groups, groups / "7") if of_parent else (groups / "7", groups)
    write(
        limited, "memory", max=100 * MIB, current=70 * MIB, stat=f"anon 5\ninactive_file {10 * MIB}"
    )
    write(free, "memory", max="max", current=70 * MIB, stat="inactive_file 0")
    assert free_memory(tmp_path) == 40 * MIB


def test_the_first_version_of_control_groups_counts_too(tmp_path: Path) -> None:
    in_group(tmp_path, "3:cpu:/x\n4:memory:/job")
    group = tmp_path / "sys/fs/cgroup/memory/job"
    write(
        group,
        "memory",
        limit_in_bytes=9 * MIB,
        usage_in_bytes=4 * MIB,
        stat="total_inactive_file 0",
    )
    assert free_memory(tmp_path) == 5 * MIB


@pytest.mark.parametrize("group", [None, "0::/", "0::/../../elsewhere"])
def test_without_a_limit_memory_is_the_machines(tmp_path: Path, group: str | None) -> None:
    if group:
        in_group(tmp_path, group)
    assert free_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_no_memory_is_left_above_a_limit(tmp_path: Path) -> None:
    in_group(tmp_path, "0::/")
    write(tmp_path / "sys/fs/cgroup", "memory", max=MIB, current=2 * MIB, stat="inactive_file 0")
    assert free_memory(tmp_path) == 0

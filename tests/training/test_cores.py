"""Threads on a machine that is shared with others."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from rdad.training.cores import free_cores, use_threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of which others use three."""
    monkeypatch.setattr(psutil, "cpu_count", lambda: 8)
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 37.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("quota", "free"), [(None, 5), ("max 100000", 5), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_free_is_what_others_leave_and_a_container_allows(
    tmp_path: Path, quota: str | None, free: int
) -> None:
    if quota:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/cpu.max").write_text(quota + "\n")
    assert free_cores(tmp_path) == free


def test_a_clusters_job_takes_no_more_than_any_group_that_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("1:cpu:/\n0::/slurm/job_7/step_0\n")
    step = tmp_path / "sys/fs/cgroup/slurm/job_7/step_0"
    step.mkdir(parents=True)
    (step / "cpu.max").write_text("max 100000\n")
    assert free_cores(tmp_path) == 5
    (step.parent / "cpu.max").write_text("300000 100000\n")
    assert free_cores(tmp_path) == 3
    (step / "cpu.max").write_text("200000 100000\n")
    assert free_cores(tmp_path) == 2


def test_one_core_is_taken_where_none_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 100.0)
    assert free_cores(tmp_path) == 1


def test_threads_are_those_that_are_wanted_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rdad.training.cores.free_cores", lambda: 2)
    torch.set_num_threads(3)
    use_threads(None)
    assert torch.get_num_threads() == 3
    with caplog.at_level(logging.INFO):
        use_threads(0)
    assert torch.get_num_threads() == 2 and "threads=0: computing with 2 of 3" in caplog.text
    use_threads(4)
    assert torch.get_num_threads() == 4


def test_a_launchers_share_is_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdad.training.cores.free_cores", lambda: 5)
    torch.set_num_threads(1)
    use_threads(0)
    assert torch.get_num_threads() == 1

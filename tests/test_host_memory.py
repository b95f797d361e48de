"""Freed memory stays with the process while a run lasts, and no longer."""

import resource
import sys

import pytest
import torch

from rdad.host_memory import kept_host_memory, return_freed_memory

BYTES = 48 * 2**20  # above what the C library ever keeps by itself


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_large_blocks_are_cleared_once_within_and_each_time_after() -> None:
    with kept_host_memory():
        touch()
        assert faults_of(touch) < 100
    return_freed_memory()
    assert faults_of(touch) > BYTES / resource.getpagesize() / 2
    assert faults_of(touch) > BYTES / resource.getpagesize() / 2


def test_it_wraps_a_function_and_lets_its_errors_out() -> None:
    @kept_host_memory()
    def halved(number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number // 2

    assert halved(6) == 3
    with pytest.raises(ValueError, match="7"):
        halved(7)
    assert halved(8) == 4


def touch() -> None:
    torch.empty(BYTES // 4).fill_(1.0)


def faults_of(task) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    task()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

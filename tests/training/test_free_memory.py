from pathlib import Path

import psutil
import pytest

from rdad.training.feature_cache import free_memory

MIB = 2**20


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(f"{content}\n")


def in_group(root: Path, line: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line + "\n")


@pytest.mark.parametrize("of_parent", [False, True])
def test_the_limit_of_a_group_or_of_one_above_it_counts(tmp_path: Path, of_parent: bool) -> None:
    in_group(tmp_path, "0::/jobs/7")
    groups = tmp_path / "sys/fs/cgroup/jobs"
    limited, free = (groups, groups / "7") if of_parent else (groups / "7", groups)
    write(limited, max=100 * MIB, current=70 * MIB, stat=f"anon 5\ninactive_file {10 * MIB}")
    write(free, max="max", current=70 * MIB, stat="inactive_file 0")
    assert free_memory(tmp_path) == 40 * MIB


def test_the_first_version_of_control_groups_counts_too(tmp_path: Path) -> None:
    in_group(tmp_path, "3:cpu:/x\n4:memory:/job")
    group = tmp_path / "sys/fs/cgroup/memory/job"
    write(group, limit_in_bytes=9 * MIB, usage_in_bytes=4 * MIB, stat="total_inactive_file 0")
    assert free_memory(tmp_path) == 5 * MIB


@pytest.mark.parametrize("group", [None, "0::/", "0::/../../elsewhere"])
def test_without_a_limit_it_is_the_machines(tmp_path: Path, group: str | None) -> None:
    if group:
        in_group(tmp_path, group)
    assert free_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_nothing_is_left_above_a_limit(tmp_path: Path) -> None:
    in_group(tmp_path, "0::/")
    write(tmp_path / "sys/fs/cgroup", max=MIB, current=2 * MIB, stat="inactive_file 0")
    assert free_memory(tmp_path) == 0

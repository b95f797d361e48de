"""What a sweep will run, and what it refuses: what would start it again on each device."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from rdad.config.compose import load_config
from rdad.config.mistakes import ConfigError
from rdad.sweep.plan import BASIC_SWEEPER, check_strategy_in_sweep, planned_jobs


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["mode=add,multiply", "seed=range(0,3)"], 6),
        (["mode=glob(*)"], None),  # Hydra alone knows the options
        (["model.lr=interval(0,1)"], None),
    ],
)
def test_jobs_are_counted_where_the_command_line_says_them(
    words: list[str], jobs: int | None
) -> None:
    hydra = {"sweeper": {"_target_": BASIC_SWEEPER, "params": {}}, "overrides": {"task": words}}
    assert planned_jobs(OmegaConf.create({"hydra": hydra})) == jobs


@pytest.mark.parametrize(
    ("strategy", "devices"),
    [
        *[("ddp", "auto"), ("ddp", 1), ("ddp_find_unused_parameters_true", 2), ("fsdp", 2)],
        *[("auto", 2), ("auto", "auto"), ("auto", [0, 1]), ("deepspeed_stage_2", 1)],
    ],
)
def test_a_process_for_each_device_is_refused_with_what_to_do(strategy: str, devices: Any) -> None:
    with pytest.raises(ConfigError, match="give each job one device") as refused:
        check_strategy_in_sweep(strategy, devices)
    assert f"trainer.strategy={strategy} with trainer.devices={devices}" in str(refused.value)


@pytest.mark.parametrize(
    ("strategy", "devices"),
    [("auto", 1), ("auto", "1"), ("auto", [3]), ("ddp_spawn", 2), ("ddp_fork", "auto")],
)
def test_one_device_or_processes_of_one_command_are_fine(strategy: str, devices: Any) -> None:
    check_strategy_in_sweep(strategy, devices)


@pytest.mark.parametrize(("trainer", "fine"), [("auto", True), ("gpu", True), ("ddp", False)])
def test_of_the_trainers_only_ddp_is_refused(trainer: str, fine: bool) -> None:
    cfg = load_config(f"trainer={trainer}")
    if fine:
        check_strategy_in_sweep(cfg.trainer.strategy, cfg.trainer.devices)
    else:
        with pytest.raises(ConfigError):
            check_strategy_in_sweep(cfg.trainer.strategy, cfg.trainer.devices)

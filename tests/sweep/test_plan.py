"""A sweep refuses what would start it again on each device."""

from typing import Any

import pytest

from rdad.config.compose import ConfigError, load_config
from rdad.sweep.plan import check_strategy_in_sweep


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

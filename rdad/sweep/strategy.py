"""Which of Lightning's strategies a job of a sweep may use."""

from typing import Any

from rdad.config.compose import ConfigError

IN_ONE_COMMAND = ("spawn", "fork", "notebook")  # start their processes without the command line


def check_strategy_in_sweep(strategy: str, devices: Any) -> None:
    """Refuse what starts the command again on each device: in a sweep, that is all its jobs.

    Args:
        strategy, devices: As of Lightning's Trainer.

    Raises:
        ConfigError: the strategy is of that kind.
    """
    several = strategy == "auto" and not _is_one(devices)  # Lightning then takes ddp
    named = strategy.startswith(("ddp", "fsdp", "deepspeed"))
    if several or (named and not any(word in strategy for word in IN_ONE_COMMAND)):
        raise ConfigError(
            f"trainer.strategy={strategy} with trainer.devices={devices} starts the command again "
            "for each device, and in a sweep each of them would run all jobs; give each job one "
            "device (trainer=gpu), several at a time with hydra/launcher=parallel"
        )


def _is_one(devices: Any) -> bool:
    """A number of devices, or a list of their indices."""
    return devices in (1, "1") or (not isinstance(devices, str | int) and len(devices) == 1)

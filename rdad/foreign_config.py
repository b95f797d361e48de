"""Configurations that came with somebody's model: they are read, and decide nothing that runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rdad.config import ConfigError
from rdad.experiment import build
from rdad.schema import DATASETS

if TYPE_CHECKING:
    from rdad.data import AnomalyDataModule


def build_known(dataset: DictConfig) -> "AnomalyDataModule":
    """`rdad.experiment.build` of a loaded run's `cfg.dataset`: calls what rdad offers alone.

    Raises:
        ConfigError, FileNotFoundError: as `build`; or the node would call something else.
    """
    plain: Any = OmegaConf.to_container(dataset, resolve=True)
    found = list(_targets(plain))
    if len(found) != 1 or plain.get("_target_") not in DATASETS:
        raise ConfigError(
            f"to get its images the run's configuration would call "
            f"{', '.join(map(str, found)) or 'nothing'}; allowed are {', '.join(DATASETS)}. "
            "Name the images yourself"
        )
    node: Any = OmegaConf.create(plain)
    return build(node)


def _targets(plain: Any) -> Iterator[Any]:
    """All that instantiating a node would call, however deep it stands."""
    if isinstance(plain, dict):
        if "_target_" in plain:
            yield plain["_target_"]
        plain = list(plain.values())
    if isinstance(plain, list):
        for part in plain:
            yield from _targets(part)

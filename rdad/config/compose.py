"""Configurations, composed and changed in Hydra's spelling."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.mistakes import ConfigError, explained, hint
from rdad.runs.record import read_yaml

_PACKAGE = Path(__file__).parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
DEFAULT_WEIGHTS = "default"  # as in conf/backbone
NO_VALUE = (ValueError, OverflowError)  # Hydra's of group=null, and of numbers that are too large
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def load_config(*overrides: str) -> DictConfig:
    """Compose conf/train.yaml with overrides in Hydra's spelling, outside the command line.

    Raises:
        ConfigError: an override names no group, option or key, or a value of the wrong type.
    """
    return composed("train", overrides)


def composed(name: str, overrides: Iterable[str], *, with_hydra: bool = False) -> DictConfig:
    """conf/<name>.yaml with overrides, and Hydra's own node if asked; raises as `load_config`."""
    given = list(overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return compose(name, given, return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, *NO_VALUE) as error:
        kept = [one for one in given if not one.startswith("~")]
        said = explained(error, _groups(), lambda: composed(name, kept))
        raise ConfigError(said) from error


def change(cfg: DictConfig, overrides: Iterable[str], *, force_add: bool = False) -> None:
    """Set values, in Hydra's spelling, in what is composed; raises ConfigError."""
    for text in overrides:
        try:
            one = OverridesParser.create().parse_override(text)
            OmegaConf.update(cfg, one.key_or_group, one.value(), force_add=force_add)
        except (HydraException, OmegaConfBaseException, *NO_VALUE) as error:
            raise ConfigError(f"{text}: {explained(error)}") from error


def with_chosen_weights(cfg: DictConfig) -> DictConfig:
    """The configuration with one text for the weights, where each backbone was given its own.

    A backbone that is not among them has those of its group's files.

    Raises:
        ConfigError: a name is a misspelt backbone's.
    """
    given, network = cfg.model.weights, cfg.model.backbone
    if not isinstance(given, Mapping):
        return cfg
    files = (CONF_DIR / "backbone").glob("*.yaml")
    names = {str(read_yaml(path)["backbone"]): path.stem for path in sorted(files)}
    known = {*names, *names.values(), str(network)}
    for key in given:
        if key not in known and (near := hint(key, known)):
            raise ConfigError(f"model.weights: there is no backbone {key}{near}")
    named = [key for key in (network, names.get(str(network))) if key in given]
    chosen = cfg.copy()
    chosen.model.weights = given[named[0]] if named else DEFAULT_WEIGHTS
    return chosen


def _groups() -> list[str]:
    return [path.name for path in CONF_DIR.iterdir() if path.is_dir() and path.name != "hydra"]

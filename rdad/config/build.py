"""From a node of a configuration to what it names."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rdad.config.foreign import TRUSTED, called, is_trusted
from rdad.config.mistakes import ConfigError
from rdad.config.schema import DATASETS

if TYPE_CHECKING:
    from rdad.data import AnomalyDataModule


NOT_FOUND = "Error locating target"  # Hydra's message begins with


def build(node: DictConfig, **further: Any) -> Any:
    """Call what the node's `_target_` names.

    Raises:
        ConfigError: the constructor refuses a value.
        FileNotFoundError: what a value names is not there.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, **further, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError):
            raise cause from error
        if isinstance(cause, ValueError | TypeError):
            raise ConfigError(str(cause)) from error
        if str(error).startswith(NOT_FOUND):
            raise ConfigError(f"{node._target_} cannot be imported: {cause}") from error
        raise


def prepared(datamodule: "AnomalyDataModule") -> "AnomalyDataModule":
    """The module, once all its images are found, checked and decoded.

    Raises:
        ConfigError: the data set has nothing of what was asked for.
        FileNotFoundError, rdad.data.DataError: images or masks are missing or unusable.
    """
    from rdad.data import DataError

    try:
        datamodule.prepare()
    except DataError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return datamodule


def build_known(dataset: DictConfig, *, fetch: bool = False) -> "AnomalyDataModule":
    """`rdad.config.build.build` of a loaded run's `cfg.dataset`: calls what rdad offers alone.

    Nothing is trained on its images, so that duplicates among them are told, and not refused.

    Args:
        fetch: Whether a `download: true` in it counts, which accepts a licence.

    Raises:
        ConfigError, FileNotFoundError: as `build`; or the node would call something else.
    """
    plain: Any = OmegaConf.to_container(dataset, resolve=True)
    found = [str(target) for target in called(plain)]
    own = plain.get("_target_") in DATASETS
    if not found or not all(map(is_trusted, found[own:])):
        raise ConfigError(
            f"to get its images the run's configuration would call "
            f"{', '.join(found) or 'nothing'}; allowed are {', '.join(DATASETS)}. "
            f"Name the images yourself, or, where you trust it, its modules by the environment "
            f"variable {TRUSTED}"
        )
    if own and not fetch:
        plain.pop("download", None)
    if hasattr(DATASETS.get(plain["_target_"]), "allow_duplicates"):
        plain["allow_duplicates"] = True
    node: Any = OmegaConf.create(plain)
    return build(node)

"""What a folder says of its run is somebody's word: it is data, calls nothing, looks nothing up.

Trusted is what comes of the day: rdad's own configuration, the config dir and the values of the
command line, and the modules that the environment variable `TRUSTED` names.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rdad.config.compose import CONF_DIR
from rdad.config.mistakes import ConfigError
from rdad.runs.record import CONFIG_FILE, read_yaml

TRUSTED = "RDAD_OWN_PARTS"
"""Environment variable: modules, with commas between, whose parts a file may name."""

OFFERED = {
    "model.input_size": "${dataset.image_size}",
    "dataset.seed": "${seed}",
    "tracking.uri": "${oc.env:MLFLOW_TRACKING_URI,sqlite:///mlflow.db}",
    "tracking.experiment": "${oc.env:MLFLOW_EXPERIMENT_NAME,null}",
}
"""Where rdad's own configuration refers to something, and so that of every run."""

OF_HYDRA = (
    *("n_jobs", "timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node"),
    *("mem_gb", "partition", "account", "qos", "constraint", "array_parallelism"),
    *("ray.init.num_cpus", "ray.remote.num_cpus", "ray.remote.num_gpus"),
    *("n_trials", "sampler", "direction", "seed", "study_name"),
)
"""Below hydra.launcher and hydra.sweeper: how many jobs at a time, and where; none is a command."""

NODES = {"model", "dataset", "trainer", "artifacts", "evaluation", "thresholds"}
FOLDER_NAMES = "hydra.job.config.override_dirname.exclude_keys"  # Hydra keeps it with each sweep
LONGEST = 1000  # characters of a value that refers to another, and of that other
_CALLS = re.compile(r"_(target|args|partial|recursive|convert)_")


def is_trusted(target: str) -> bool:
    """Whether the user of the day trusts the module of a part."""
    module = target.rpartition(".")[0]
    return bool(module) and module in _trusted()


def _trusted() -> list[str]:
    return os.environ.get(TRUSTED, "").split(",")


def read_config(run_dir: Path) -> DictConfig:
    """The configuration in a run's folder, in which nothing will be looked up.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no configuration, or refers to more than a plain value of its own.
    """
    path = run_dir / CONFIG_FILE
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no configuration of a run")
    for name in NODES & content.keys():
        if not isinstance(content[name], dict):
            raise ValueError(f"{path} is no configuration of a run: {name} is {content[name]!r}")
    for key, value in _texts(content):
        if "${" in value and OFFERED.get(key) != value and not _is_harmless(value, content):
            named = re.search(r"\$\{\s*([\w.]+):", value)
            how = f"say so by the environment variable {TRUSTED}={named[1] if named else 'oc.env'}"
            raise ValueError(
                f"{path}: {key} is {value!r}, which would be looked up on this machine; a "
                f"configuration from a folder may refer to plain values of its own alone. Where "
                f"you trust it, {how}, or write the value itself"
            )
    try:
        return OmegaConf.create(content)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"{path} is no configuration of a run: {said}") from error


def _texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield place, node
    elif isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(value, f"{place}.{key}" if place else str(key))


def _is_harmless(value: str, content: dict[str, Any]) -> bool:
    """Whether all that a text refers to is short and plain itself, or is trusted."""
    found = re.findall(r"\$\{([^${}]*)\}", value)
    if len(found) != value.count("${") or len(value) > LONGEST:
        return False
    for name in found:
        resolver, colon, _ = name.partition(":")
        if colon and resolver.strip() not in _trusted():
            return False
        if not colon:
            there: Any = reduce(_below, name.split("."), content)
            if isinstance(there, dict | list) or "${" in str(there) or len(str(there)) > LONGEST:
                return False
    return True


def _below(node: Any, key: str) -> Any:
    """None, too, where it is not there, which whoever reads the value is told."""
    return node.get(key) if isinstance(node, dict) else None


def called(plain: Any) -> Iterator[Any]:
    """All that instantiating a node would call, however deep it stands."""
    if isinstance(plain, dict):
        if "_target_" in plain:
            yield plain["_target_"]
        plain = list(plain.values())
    if isinstance(plain, list):
        for part in plain:
            yield from called(part)


def plain_overrides(
    path: Path, overrides: Iterable[Any], *, conf_dirs: Sequence[Path] = ()
) -> list[str]:
    """Overrides that a file holds, as they stand there.

    Args:
        conf_dirs: Config dirs of the command line, whose groups count as rdad's own do.

    Raises:
        ConfigError: one is more than a plain value of an option that is offered here.
    """
    texts = [str(one) for one in overrides]
    for text in texts:
        for fault in _faults(text, [CONF_DIR, *conf_dirs]):
            raise ConfigError(
                f"{path}: {text}: {fault}. From a folder only plain values of options that are "
                "offered here are taken. Where you trust it, say it again on the command line, "
                "with its --config-dir if it has one"
            )
    return texts


def _faults(text: str, conf_dirs: Sequence[Path]) -> Iterator[str]:
    """What is more than a plain value in it."""
    try:
        one = OverridesParser.create().parse_override(text)
    except HydraException:
        yield "it cannot be read"
        return
    key = one.key_or_group
    if "${" in text:
        yield "it would be looked up on this machine"
    if _CALLS.search(text) and not _is_trusted_part(text):
        yield f"it says what is called (the environment variable {TRUSTED} names modules to trust)"
    if one.package is not None or not re.fullmatch(r"[\w-]+([./][\w-]+)*", key):
        yield f"{key!r} is no plain key"
    folders = [folder / key for folder in conf_dirs if (folder / key).is_dir()]
    if folders:
        yield from (f"{key} has no option {name}" for name in _missing_options(one, folders))
    elif re.match(r"hydra\b", key):
        if not _is_of_jobs(one):
            yield f"{key} is Hydra's own"
    elif one.is_add() or one.is_force_add():
        yield f"it adds {key}, which is not offered"


def _is_trusted_part(text: str) -> bool:
    targets = re.findall(r"_target_['\"]?\s*[=:]\s*['\"]?([\w.]+)", text)
    return len(targets) == len(_CALLS.findall(text)) and all(map(is_trusted, targets))


def _missing_options(one: Override, folders: Sequence[Path]) -> list[str]:
    """The choices of a group that are none of its files."""
    if one.is_delete() or one.value_type == ValueType.GLOB_CHOICE_SWEEP or one.value() is None:
        return []
    is_sweep = one.is_sweep_override() and one.is_discrete_sweep()
    names = list(one.sweep_string_iterator()) if is_sweep else _listed(one.value())
    return [name for name in map(str, names) if not any(_has(folder, name) for folder in folders)]


def _has(folder: Path, name: str) -> bool:
    return bool(re.fullmatch(r"\w[\w.-]*", name)) and (folder / f"{name}.yaml").is_file()


def _is_of_jobs(one: Override) -> bool:
    """Whether it says how many jobs there are at a time, and where, in words and numbers."""
    place = re.fullmatch(r"hydra\.(launcher|sweeper)\.(.+)", one.key_or_group)
    offered = one.key_or_group == FOLDER_NAMES or (place is not None and place[2] in OF_HYDRA)
    words = [str(word) for word in _listed(one.value())]
    plain = all(re.fullmatch(r"-1|\w[\w./-]*", word) for word in words)
    return offered and plain and not one.is_delete()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

"""python -m rdad.download: fetch a public data set, check it and unpack it."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from rdad.config.command import Command
from rdad.config.compose import load_config
from rdad.config.spelling import as_it_stands
from rdad.data.download import download, source_of
from rdad.data.samples import subfolders
from rdad.data.sources import SOURCES
from rdad.results.text_table import short
from rdad.runs.names import expanded
from rdad.sweep.categories import KEY, categories

COMMAND = Command(
    name="download",
    summary=(
        "Fetch a public data set, check it against its known checksum, and unpack it into\n"
        "<root>/<set>. Its licence is shown, and accepted by accept=true. What was cut off goes\n"
        f"on with the same command. Sets: {', '.join(SOURCES)}."
    ),
    usage="SET",
    least=1,
    most=1,
    examples=("visa root=data accept=true", "btad root=/data accept=true"),
)


@dataclass
class DownloadConfig:
    """The options of conf/download.yaml, which says what they are for."""

    root: str = MISSING
    accept: bool = MISSING


ConfigStore.instance().store(name="download_schema", node=DownloadConfig)


def download_set(arguments: Sequence[str], cfg: DictConfig) -> int:
    """Download the named set; gives the exit code."""
    name, root = arguments[0], expanded(cfg.root)
    source_of(name)
    folder = download(name, root / name, accept=cfg.accept)
    inside = [sub.name for sub in subfolders(folder)]
    print(f"{SOURCES[name].title} is in {short(folder)}: {', '.join(inside)}\n\ntrain on it with")
    given = [f"dataset={name}", f"dataset.root={short(folder)}"]
    dataset = load_config(*map(as_it_stands, given)).dataset
    if OmegaConf.is_missing(dataset, "category"):
        given.append(f"{KEY}={categories(dataset)[0]}")
    print(f"  python -m rdad.train {shlex.join(given)}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    return COMMAND.main(download_set, arguments)


if __name__ == "__main__":
    sys.exit(main())

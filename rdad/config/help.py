"""What `--help` says of options: each with its value, and what its YAML file says of it."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from rdad.config.schema import DATASETS
from rdad.data.ranges import RANGES

WIDTH, COLUMN = 80, 36  # of a terminal, and where comments begin in it
LONGEST = 120  # signs of what is allowed; longer lists are left to the documentation
SAID = re.compile(r"( *)(?:([\w/]+):.*?(?: +# *(.*))?|# (\w+): (.*))")
"""`key: value # comment`, or `# key: comment` of a key whose default stands in the schema."""


class Comments(dict[str, str]):
    """What YAML files say of options, by their dotted keys.

    Args:
        folders: Where the files are; what an earlier one has hides a later one's.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self._folders = folders

    def read(self, name: str, place: str = "") -> tuple[str, str]:
        """Add <name>.yaml's, whose keys are `place`'s; gives their place and the file's head."""
        paths = [folder / f"{name}.yaml" for folder in self._folders]
        text = next((path.read_text(encoding="utf-8") for path in paths if path.is_file()), "")
        if package := re.match(r"# @package (\S+)", text):
            place = "" if package[1] == "_global_" else package[1]
        for included in re.findall(r"^ *- /(\w+)@_here_", text, re.MULTILINE):
            self.read(included, place)
        above = [(-1, place)]
        for found in filter(None, map(SAID.fullmatch, text.splitlines())):
            indent, key = len(found[1]), found[2] or found[4]
            above = [one for one in above if one[0] < indent]
            dotted = ".".join(filter(None, (above[-1][1], key)))
            if said := found[3] or found[5]:
                self[dotted] = said
            above.append((indent, dotted))
        head = re.match(r"(?:#.*\n)*", text)
        lines = [line[1:].strip() for line in head[0].splitlines()] if head else []
        return place, " ".join(line for line in lines if not line.startswith("@package"))


def app_help(cfg: DictConfig) -> str:
    """The help of a command that Hydra composes, with its node.

    Where the command line chooses groups, as in `dataset=folder --help`, it is what these hold;
    else the configuration's template, with all groups and values.
    """
    folders = [Path(one.path) for one in cfg.hydra.runtime.config_sources if one.schema == "file"]
    groups = _groups(folders)
    given = dict(one.lstrip("+").split("=", 1) for one in cfg.hydra.overrides.task if "=" in one)
    named = {key: value for key, value in given.items() if key in groups}
    comments, heads, places = Comments(folders), [], set()
    for group, options in {**cfg.hydra.runtime.choices, **named}.items():
        for option in re.findall(r"[\w.]+", str(options)) if options and group in groups else ():
            place, head = comments.read(f"{group}/{option}", group)
            if group in named:
                places.add(place.partition(".")[0])
                heads.append(f"{group}={option}" + (f": {head}" if head else ""))
    comments.read(cfg.hydra.job.config_name)  # after its groups, as it is composed
    if places and "" not in places:
        above = map(wrapped, heads)
        values = described(cfg, comments, places)
        return "\n".join([*above, "", *values, "", "--help alone shows all groups and values."])
    listed = [wrapped(f"{group}: {', '.join(found)}", "  ") for group, found in groups.items()]
    values = described(cfg, comments, cfg.keys() - {"hydra"})
    template = Template(cfg.hydra.help.template)
    return template.substitute(APP_CONFIG_GROUPS="\n".join(listed), CONFIG="\n".join(values))


def described(
    cfg: DictConfig, comments: dict[str, str], keys: Iterable[Any] | None = None
) -> list[str]:
    """YAML of a configuration, or of these of its keys, with comments; else what is allowed."""
    said = {key: allowed for key, allowed in _allowed(cfg) if len(allowed) <= LONGEST} | comments
    plain: Any = OmegaConf.to_container(cfg)
    return list(_lines({key: plain[key] for key in plain if keys is None or key in keys}, said))


def _groups(folders: Sequence[Path]) -> dict[str, list[str]]:
    """The options of each."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in folder.glob("*/*.yaml")):
        found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(found[group]) for group in sorted(found)}


def _allowed(node: DictConfig, place: str = "") -> Iterator[tuple[str, str]]:
    """What the schema allows for each key, dotted."""
    kind = OmegaConf.get_type(node)
    if "_target_" in node and (schema := DATASETS.get(str(node["_target_"]))):
        kind = schema
        yield from ((f"{place}{key}", said) for key, (said, _) in RANGES.items() if key in node)
    for one in fields(kind) if is_dataclass(kind) else ():
        if "allowed" in one.metadata:
            yield f"{place}{one.name}", str(one.metadata["allowed"])
    for key, below in node.items_ex(resolve=False):
        if isinstance(below, DictConfig) and not below._is_none() and key != "hydra":
            yield from _allowed(below, f"{place}{key}.")


def _lines(plain: Mapping[str, Any], said: Mapping[str, str], place: str = "") -> Iterator[str]:
    margin = "  " * place.count(".")
    for key, value in plain.items():
        dotted, node = f"{place}{key}", isinstance(value, Mapping) and value
        start = f"{margin}{key}:" + ("" if node else f" {_flow(value)}")
        if comment := said.get(dotted):
            start = wrapped(f"{start:<{COLUMN - 1}} # {comment}", " " * COLUMN + "# ")
        yield start
        if node:
            yield from _lines(value, said, f"{dotted}.")


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def wrapped(text: str, margin: str = "") -> str:
    """A paragraph in lines that fit, all but the first behind a margin."""
    whole: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(text, WIDTH, subsequent_indent=margin, **whole)

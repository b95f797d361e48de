"""Plain data, as of JSON and YAML, with something in it that nobody expects."""

import functools
from collections.abc import Iterator
from random import Random
from typing import Any

RAN = "ran"
"""What no case may make, though its values tell rdad to."""


def words(text: str) -> tuple[str, ...]:
    """Those between spaces."""
    return tuple(text.split())


VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 1e308, float("nan"), float("inf"), 10**30, "", "x", "x" * 200_000),
    *([], {}, [[]], {"a": {"b": []}}, ["x"], [None], [64, 64], [10**9, 10**9], [-1, 0]),
    *words(
        "${oc.env:SECRET} ${seed} ${now:%Y} ../../outside/secret.txt /etc/passwd /dev/zero 画像"
    ),
    *words("resnet18 wide_resnet50_2 layer1 finished running http://127.0.0.1:9 file:///etc"),
    *words("sqlite:///../outside/stolen.db hydra.run.dir=../outside _target_=os.mkdir"),
    *("\x1b[2J", "caf\udce9", "\0", "+callbacks.x={_target_: os.mkdir}"),
    {"_target_": "os.mkdir", "path": RAN},
)


def with_change(random: Random, content: Any) -> tuple[Any, str]:
    """A tree with one value, somewhere in it, that is another, is gone, or is new."""
    places = [*_places(content)]
    place, value = random.choice(places), random.choice(VALUES)
    if not place:
        return value, f"{value!r:.40} for all"
    node: Any = functools.reduce(lambda part, key: part[key], place[:-1], content)
    match random.randrange(5):
        case 0:
            del node[place[-1]]
            return content, f"no {place}"
        case 1 if isinstance(node, dict):
            node[random.choice(["x", "_target_", "", "a.b", "画像"])] = value
            return content, f"{value!r:.40} beside {place}"
        case _:
            node[place[-1]] = value
            return content, f"{value!r:.40} for {place}"


def _places(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _places(value, (*place, key))

"""Defect types scored together, a group at a time: as logical and structural anomalies."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

Groups: TypeAlias = Mapping[str, Sequence[str]] | Literal["types"] | None
"""Names of groups with their defect types; `types`: each type is a group; None: no groups."""


def groups_of(groups: Groups, defect_types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The defect types of each group, by its name.

    Args:
        defect_types: Those of the test images.

    Raises:
        ValueError: a group has no type, one that is not there, or another type's name.
    """
    if groups is None:
        return {}
    if isinstance(groups, str):
        return {name: (name,) for name in defect_types}
    found = {name: tuple(types) for name, types in groups.items()}
    for name, types in found.items():
        unknown = [one for one in types if one not in defect_types]
        if unknown or not types:
            raise ValueError(
                f"the group {name} has {', '.join(map(str, unknown)) or 'no defect type'}; "
                f"the test images have {', '.join(defect_types) or 'no defects'}"
            )
        if name in defect_types and types != (name,):
            raise ValueError(f"the group {name} has the name of a defect type; name it otherwise")
    return found


def groups_among(groups: Groups, defect_types: Sequence[str]) -> Groups:
    """The groups with these types alone, and without those that are empty then."""
    if groups is None or isinstance(groups, str):
        return groups
    kept = {name: [one for one in of if one in defect_types] for name, of in groups.items()}
    return {name: of for name, of in kept.items() if of}


def group_mean(
    name: str, figures: Mapping[str, float], groups: Collection[str], undefined: dict[str, str]
) -> dict[str, float]:
    """`<name>_group_mean`, the mean of `<name>/<group>`; nothing where there are no groups.

    It is nan where a group's figure is, and `undefined` then gets the reason.
    """
    if not groups:
        return {}
    key, members = f"{name}_group_mean", [f"{name}/{group}" for group in groups]
    if lost := [one for one in members if one in undefined]:
        undefined[key] = f"{lost[0]} is undefined: {undefined[lost[0]]}"
    return {key: statistics.fmean(figures[one] for one in members)}

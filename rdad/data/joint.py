"""Several categories of a data set as one, for one network that is trained on all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rdad.data.samples import Sample, Samples, fitting

Category = str | Sequence[str]
LONGEST_LABEL = 40  # letters, in a column of a table

Read = Callable[[str], Samples]
"""Finds the images of one category."""


def joined(read: Read, categories: Sequence[str]) -> Samples:
    """The images of all categories, one behind the other, each with its category's name.

    Parts are told apart, too, where two categories number their items alike.

    Raises:
        ValueError: a category has no images of a kind; or two have the same, and are only names.
    """
    found = {category: read(category) for category in categories}
    owners: dict[object, str] = {}
    for category, samples in found.items():
        if not (samples.train and samples.test):
            lacking = "test" if samples.train else "training"
            raise ValueError(f"the category {category} has no {lacking} images")
        for sample in samples.train:
            if owners.setdefault(sample.image, category) != category:
                raise ValueError(
                    f"the categories {owners[sample.image]} and {category} have the same images, "
                    f"as {sample.image}: this data set has no categories, and joint is not for it"
                )
    splits = zip(*((one.train, one.test, one.calibration) for one in found.values()), strict=True)
    train, test, calibration = (
        tuple(_of(name, one) for name, part in zip(found, split, strict=True) for one in part)
        for split in splits
    )
    return Samples(train, test, calibration)


def label(category: Category) -> str:
    """A category's name for results; of several their names, or how many there are."""
    if isinstance(category, str):
        return fitting(category)
    names = fitting("+".join(category))
    return names if len(names) <= LONGEST_LABEL else f"joint of {len(category)}"


def check_joint(category: Category | None, joint: bool) -> None:
    """Raises ValueError for a list of categories without `joint`, and for `joint` without one."""
    named = None if category is None or isinstance(category, str) else [*category]
    if named is not None and not joint:
        raise ValueError(
            f"category is a list, {', '.join(named)}: one network for all of them takes "
            "joint=true; a network for each takes the names with commas and -m"
        )
    if joint and (not named or len({*named}) < len(named)):
        found = category if named is None else named
        raise ValueError(
            f"joint takes a list of different categories, as in category=[a,b]; found {found!r}"
        )


def _of(category: str, sample: Sample) -> Sample:
    part = f"{category}/{sample.part}" if sample.part else ""
    return replace(sample, category=category, part=part)

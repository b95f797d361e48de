"""What Hydra's override syntax says may vary is what Optuna varies."""

import pytest

pytest.importorskip("optuna", reason="needs the extra `optuna`")

from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from rdad.sweep.search.space import SearchSpace, search_space


def space(*overrides: str) -> SearchSpace:
    return search_space(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize(
    ("value", "distribution"),
    [
        ("a,b", CategoricalDistribution(["a", "b"])),
        ("choice(true, 1, 'x y')", CategoricalDistribution(["True", "1", r"x\ y"])),
        ("[a],[a,b]", CategoricalDistribution(["[a]", "[a,b]"])),
        ("a,b,a", CategoricalDistribution(["a", "b"])),
        ("interval(1, 9)", FloatDistribution(1, 9)),
        ("tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("int(interval(1, 9))", IntDistribution(1, 9)),
        ("tag(log, int(interval(1, 100)))", IntDistribution(1, 100, log=True)),
        ("range(1, 9, 3)", IntDistribution(1, 7, step=3)),
        ("range(9, 1, -3)", IntDistribution(3, 9, step=3)),
        ("range(0.5, 2.5, 0.5)", FloatDistribution(0.5, 2.0, step=0.5)),
    ],
)
def test_each_kind_of_sweep_is_its_distribution(value: str, distribution: object) -> None:
    assert space(f"key={value}").distributions == {"key": distribution}


def test_what_does_not_vary_goes_to_every_job() -> None:
    found = space("mode=add", "+new=1", "a=1,2", "~gone")
    assert found.job({"a": "2"}) == ["mode=add", "+new=1", "~gone", "a=2"]


def test_of_two_overrides_of_a_key_the_later_counts() -> None:
    found = space("a=1,2", "b=1,2", "a=7")
    assert list(found.distributions) == ["b"]
    assert found.common == ["a=7"]


def test_the_samples_hold_every_choice() -> None:
    samples = space("a=x,y", "b=range(0, 10)").samples()
    assert samples == [["a=x", "b=0"], ["a=y", "b=0"], ["a=x", "b=0"], ["a=x", "b=9"]]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["a=1"], "search space is empty"),
        (["a=interval(2, 1)"], "start < end"),
        (["a=tag(log, interval(0, 1))"], "0 < start < end"),
        (["a=tag(logarithmic, interval(1, 2))"], "allowed is log"),
        (["a=tag(log, choice(1, 2))"], "allowed is log"),
        (["a=range(5, 1)"], "holds no value"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        space(*overrides)

"""The search space: what Hydra's override syntax says may vary, as Optuna's distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    Distribution: TypeAlias = CategoricalDistribution | FloatDistribution | IntDistribution

EXAMPLE = "'model.lr=tag(log, interval(1e-4, 1e-2))'"


@dataclass(frozen=True)
class SearchSpace:
    """What varies over the trials, and what all have in common.

    Attributes:
        distributions: By the key of the override.
        common: Overrides of every job.
    """

    distributions: "dict[str, Distribution]"
    common: list[str]

    def job(self, params: Mapping[str, Any]) -> list[str]:
        """The overrides of the job that tries these values."""
        return self.common + varied(params)

    def samples(self) -> list[list[str]]:
        """Jobs in which every choice occurs once: what to compose to know that all exist."""
        from optuna.distributions import CategoricalDistribution

        choices = {
            key: one.choices if isinstance(one, CategoricalDistribution) else (one.low, one.high)
            for key, one in self.distributions.items()
        }
        first = {key: values[0] for key, values in choices.items()}
        return [
            self.job(first | {key: value}) for key, values in choices.items() for value in values
        ]


def varied(params: Mapping[str, Any]) -> list[str]:
    """A trial's values in Hydra's spelling."""
    return [f"{key}={value}" for key, value in params.items()]


def search_space(overrides: Sequence[Override]) -> SearchSpace:
    """The space that overrides span; of two for the same key the later one counts.

    Raises:
        ValueError: nothing varies, or an interval or a tag makes no sense.
    """
    last = {one.key_or_group: one for one in overrides}
    varying = [one for one in last.values() if one.is_sweep_override()]
    if not varying:
        raise ValueError(f"the search space is empty: let at least one key vary, as {EXAMPLE} does")
    common = [str(one.input_line) for one in last.values() if one not in varying]
    return SearchSpace({one.get_key_element(): _distribution(one) for one in varying}, common)


def _distribution(override: Override) -> "Distribution":
    """Choices are kept as the text behind the `=`; numbers as numbers, for Optuna to order."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    unknown = getattr(value, "tags", set()) - ({"log"} if override.is_interval_sweep() else set())
    if unknown:
        raise ValueError(
            f"{override.input_line}: tag {', '.join(sorted(unknown))} means nothing here; allowed "
            f"is log, for an interval, as in {EXAMPLE}"
        )
    if isinstance(value, IntervalSweep):
        low, high, options = _interval(override, value)
    elif isinstance(value, RangeSweep):
        low, high, options = _steps(override, value)
    else:
        return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, **options)
    return FloatDistribution(low, high, **options)


def _interval(override: Override, interval: IntervalSweep) -> tuple[float, float, dict[str, Any]]:
    """Whole numbers where it stands in int(...), with the end; else floats."""
    low, high, log = interval.start, interval.end, "log" in interval.tags
    assert low is not None and high is not None
    if low >= high or (log and low <= 0):
        wanted = "0 < start < end" if log else "start < end"
        raise ValueError(f"{override.input_line}: the interval must have {wanted}")
    return low, high, {"log": log}


def _steps(override: Override, steps: RangeSweep) -> tuple[float, float, dict[str, Any]]:
    values = sorted(steps.range())
    if not values:
        raise ValueError(f"{override.input_line}: the range holds no value; its end is left out")
    return values[0], values[-1], {"step": abs(steps.step)}

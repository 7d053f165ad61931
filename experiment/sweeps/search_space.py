"""Search spaces in Hydra's own syntax: `a,b,c`, `choice()`, `range()`, `interval()`, `tag(log, interval())`."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from experiment.failures import Refused

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# A key and its values as written: {"optim.lr": "interval(0.001, 0.1)"}.
Space = dict[str, str]


class SearchSpace:
    """Keys that a sweep varies, and the overrides that all of its trials share.

    Args:
        overrides: the command line's.
        space: further keys to vary; what the command line says of a key counts more.
        loader: Hydra's, which knows what `glob()` may stand for.
    """

    def __init__(self, overrides: Sequence[str], space: Space, *, loader: ConfigLoader | None) -> None:
        parser = OverridesParser.create(config_loader=loader)
        given = parser.parse_overrides(list(overrides))
        keys = {override.key_or_group for override in given}
        given += parser.parse_overrides([f"{key}={value}" for key, value in space.items() if key not in keys])
        swept = [override for override in given if override.is_sweep_override()]
        self.fixed = [str(override.input_line) for override in given if not override.is_sweep_override()]
        self._swept = {override.get_key_element(): override for override in swept}

    def as_written(self) -> Space:
        return {key: str(override.input_line).split("=", 1)[1] for key, override in self._swept.items()}

    def grid(self) -> Iterator[dict[str, str]]:
        """Every combination, the last key varying fastest, as values to write behind `key=`.

        Raises:
            Refused: a key has infinitely many values, or another order each time.
        """
        for key, written in self.as_written().items():
            if not self._swept[key].is_discrete_sweep():
                raise Refused(
                    f"{key}={written} has no end of values for a grid; list them (a,b,c), use range(), or search with"
                    " sweep=optuna"
                )
            if "shuffle" in written:
                raise Refused(f"{key}={written}: a sweep that may be continued needs an order; leave out shuffle()")
        values = [list(override.sweep_string_iterator()) for override in self._swept.values()]
        for point in itertools.product(*values):
            yield dict(zip(self._swept, point, strict=True))

    def distributions(self) -> "dict[str, BaseDistribution]":
        """The same as Optuna has it, by key in the order of the alphabet."""
        return {key: _distribution(self._swept[key]) for key in sorted(self._swept)}

    def point_of(self, values: dict[str, Any]) -> dict[str, str] | None:
        """Plain values of all keys as a point; None if it does not lie in the space."""
        point = {key: written(values[key]) for key in sorted(self._swept)}
        distributions = self.distributions()
        try:
            for key, text in point.items():
                typed_value(text, distributions[key])
        except ValueError:
            return None
        return point


def written(value: Any) -> str:
    """A plain value as an override has it; of a number the shortest digits that give it again."""
    return "null" if value is None else str(value)


def typed_value(text: str, distribution: "BaseDistribution") -> Any:
    """A value as Optuna has it.

    Raises:
        ValueError: it is not in the distribution.
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    kind = {FloatDistribution: float, IntDistribution: int}.get(type(distribution), str)
    value = kind(text)
    if not distribution._contains(distribution.to_internal_repr(value)):
        raise ValueError(f"{text} is not in {distribution}")
    return value


def _distribution(override: Override) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep: Any = override.value()
    is_log = "log" in getattr(sweep, "tags", ())
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None
        assert sweep.end is not None
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return IntDistribution(sweep.start, sweep.end, log=is_log)
        return FloatDistribution(float(sweep.start), float(sweep.end), log=is_log)
    if isinstance(sweep, RangeSweep) and not sweep.shuffle:
        values = list(sweep.range())
        low, high = min(values), max(values)
        step = abs(sweep.step)
        if all(isinstance(value, int) for value in values):
            return IntDistribution(int(low), int(high), step=1 if is_log else int(step), log=is_log)
        return FloatDistribution(float(low), float(high), step=None if is_log else float(step), log=is_log)
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def overrides_of(point: dict[str, Any]) -> list[str]:
    """A point as a command line has it."""
    return [f"{key}={value}" for key, value in point.items()]

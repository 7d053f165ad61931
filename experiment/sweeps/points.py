"""What a sweep runs: points of its search space, from a grid or from a study."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from experiment.sweeps.search_space import SearchSpace
from experiment.sweeps.trial_records import TrialRecord


class Point(NamedTuple):
    """One combination of values, as written on a command line."""

    number: int
    params: dict[str, str]


class PointSource(Protocol):
    """Gives out points one after the other, and hears what came of them."""

    def next_point(self) -> Point | None:
        """The next one to run or to go on with; None if none is left."""

    def conclude(self, point: Point, records: list[TrialRecord]) -> None:
        """All trials of a point have ended."""

    def is_to_be_pruned(self, point: Point, *, epoch: int, value: float) -> bool:
        """Whether a trial whose objective has this value after an epoch (from 1) is not worth going on."""

    def num_points(self) -> int | None:
        """In all; None if that is not known."""


class Grid:
    """Every combination, in order."""

    def __init__(self, space: SearchSpace) -> None:
        self._points = [Point(number, params) for number, params in enumerate(space.grid())]
        self._left: Iterator[Point] = iter(self._points)

    def next_point(self) -> Point | None:
        return next(self._left, None)

    def conclude(self, point: Point, records: list[TrialRecord]) -> None:
        """Nothing: a grid does not learn."""

    def is_to_be_pruned(self, point: Point, *, epoch: int, value: float) -> bool:
        return False

    def num_points(self) -> int:
        return len(self._points)

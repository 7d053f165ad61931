"""Search spaces in Hydra's syntax, judged by Hydra's own sweeper."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from experiment.failures import Refused
from experiment.sweeps.search_space import SearchSpace, overrides_of, typed_value


def _space(*overrides: str, **of_experiment: str) -> SearchSpace:
    return SearchSpace(overrides, of_experiment, loader=None)


@pytest.mark.parametrize(
    "overrides",
    [
        ["a=1,2,3", "b=x,y"],
        ["a=choice([1,2],[3])", "b=range(1,10,3)", "c=7"],
        ["a='x y',\"z,w\"", "+b=null,true", "c=range(0,1,0.25)"],
        ["a=sort(3,1,2)", "b={k:1,l:2},{k:3,l:4}"],
        ["a=1"],
        [],
    ],
)
def test_a_grid_has_the_points_of_hydras_own_sweeper_in_its_order(overrides: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides)
    (expected,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    space = _space(*overrides)
    found = [{*space.fixed, *overrides_of(point)} for point in space.grid()]
    assert found == [set(point) for point in expected]


def test_a_thousand_points_are_a_thousand() -> None:
    points = list(_space("a=range(10)", "b=range(10)", "c=range(10)").grid())
    assert len({tuple(point.values()) for point in points}) == 1000
    assert points[123] == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("interval(1, 10)", FloatDistribution(1, 10)),
        ("int(interval(1, 10))", IntDistribution(1, 10)),
        ("tag(log, interval(1e-4, 0.1))", FloatDistribution(1e-4, 0.1, log=True)),
        ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        # As in Python, without its end.
        ("range(1, 10)", IntDistribution(1, 9)),
        ("range(2, 11, 3)", IntDistribution(2, 8, step=3)),
        ("range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("a,b", CategoricalDistribution(["a", "b"])),
        ("choice(1, 2, true)", CategoricalDistribution(["1", "2", "True"])),
        ("[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
    ],
)
def test_a_range_is_the_distribution_it_says(written: str, expected: object) -> None:
    assert _space(f"x={written}").distributions() == {"x": expected}


def test_the_command_line_counts_more_than_the_experiments_space() -> None:
    space = _space("a=interval(0,1)", "b=5", a="interval(2,3)", b="1,2", c="1,2")
    assert space.as_written() == {"a": "interval(0,1)", "c": "1,2"}
    assert space.fixed == ["b=5"]


def test_what_has_no_end_or_no_order_is_refused_in_a_grid() -> None:
    with pytest.raises(Refused, match=r"a=interval\(0,1\) has no end of values for a grid"):
        list(_space("a=interval(0,1)").grid())
    with pytest.raises(Refused, match="leave out shuffle"):
        list(_space("a=shuffle(1,2,3)").grid())


def test_a_configurations_own_values_are_a_point_if_they_lie_in_the_space() -> None:
    space = _space("lr=tag(log, interval(1e-4, 0.1))", "n=range(1,5)", "name=a,b", "flag=true,false")
    values = {"lr": 0.002, "n": 3, "name": "b", "flag": True}
    assert space.point_of(values) == {"flag": "True", "lr": "0.002", "n": "3", "name": "b"}
    for key, value in (("lr", 0.5), ("n", 9), ("name", "c"), ("flag", None)):
        assert space.point_of({**values, key: value}) is None


def test_a_value_outside_its_distribution_is_refused() -> None:
    assert typed_value("3", IntDistribution(1, 5)) == 3
    with pytest.raises(ValueError, match="9 is not in IntDistribution"):
        typed_value("9", IntDistribution(1, 5))

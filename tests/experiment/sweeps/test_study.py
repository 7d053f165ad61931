"""Searches by Optuna: each sampler, pruning, several objectives, a study shared between processes."""

import math
import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage

from experiment.failures import Refused, RunPruned
from experiment.sweeps.points import Point
from experiment.sweeps.study import Study
from experiment.sweeps.trial_records import TrialRecord
from tests.experiment.sweeps.fake_trials import run_fake_sweep, study

Ask = Callable[[int, float], bool]
SPACE = ("x=interval(-4,4)", "y=int(interval(0,20))", "kind=a,b")


def _value(params: dict[str, str]) -> float:
    return (float(params["x"]) - 1) ** 2 + (int(params["y"]) - 7) ** 2 / 10 + (params["kind"] == "b")


def _run(source: Study, *, at_most: int | None = None) -> list[dict[str, str]]:
    """What is suggested when every trial finishes at once; `at_most` leaves the last one running, as a kill would."""
    params = []
    while (point := source.next_point()) is not None:
        params.append(point.params)
        if len(params) == at_most:
            break
        source.conclude(point, [_finished(point, _value(point.params))])
    return params


def _finished(point: Point, value: float, **metrics: float) -> TrialRecord:
    record = TrialRecord(point.number, point.number, point.params, [])
    record.status, record.objective, record.metrics = "finished", value, metrics
    return record


SAMPLERS = [
    "tpe",
    "qmc",
    "random",
    "nsga2",
    pytest.param("cmaes", marks=pytest.mark.skipif(find_spec("cmaes") is None, reason="cmaes is not installed")),
]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_was_cut_off_suggests_what_the_whole_one_does(sampler: str, tmp_path: Path) -> None:
    whole = _run(study(tmp_path / "whole", *SPACE, num_trials=12, sampler=sampler))
    assert len(whole) == 12
    broken = tmp_path / "broken"
    first = _run(study(broken, *SPACE, num_trials=12, sampler=sampler), at_most=8)
    rest = _run(study(broken, *SPACE, num_trials=12, sampler=sampler))
    # The one that was running is gone on with.
    assert first[:-1] + rest == whole
    assert first[-1] == rest[0]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.sweeps.samplers.find_spec", lambda name: None)
    with pytest.raises(Refused, match="needs the package cmaes; install it"):
        study(tmp_path, *SPACE, num_trials=3, sampler="cmaes").next_point()


def test_tpe_is_better_than_chance(tmp_path: Path) -> None:
    best = {
        sampler: min(map(_value, _run(study(tmp_path / sampler, *SPACE, num_trials=40, sampler=sampler))))
        for sampler in ("tpe", "random")
    }
    assert best["tpe"] < best["random"]


def test_a_larger_total_adds_only_the_difference(tmp_path: Path) -> None:
    assert len(_run(study(tmp_path, *SPACE, num_trials=5))) == 5
    assert len(_run(study(tmp_path, *SPACE, num_trials=5))) == 0
    assert len(_run(study(tmp_path, *SPACE, num_trials=8))) == 3


def test_known_points_come_first_once(tmp_path: Path) -> None:
    known: list[dict[str, Any]] = [{"x": "1.5", "y": "7", "kind": "a"}, {"x": "-2.0"}]
    params = _run(study(tmp_path, *SPACE, num_trials=3, known_points=known))
    assert params[0] == {"kind": "a", "x": "1.5", "y": "7"}
    assert params[1]["x"] == "-2.0"
    assert _run(study(tmp_path, *SPACE, num_trials=4, known_points=known))[0]["x"] not in ("1.5", "-2.0")
    with pytest.raises(Refused, match="x=9 is not in the search space"):
        study(tmp_path / "other", *SPACE, num_trials=3, known_points=[{"x": "9"}])


def test_a_trial_that_failed_or_gave_no_number_counts_as_failed(tmp_path: Path) -> None:
    source = study(tmp_path, "x=interval(0,1)", num_trials=2)
    for value, status in ((math.nan, "finished"), (1.0, "failed")):
        point = source.next_point()
        assert point is not None
        record = _finished(point, value)
        record.status = status  # type: ignore[assignment]
        source.conclude(point, [record])
    assert [trial.state.name for trial in source.study.trials] == ["FAIL", "FAIL"]
    assert source.next_point() is None


def test_a_points_objective_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    source = study(tmp_path, "x=interval(0,1)", num_trials=1)
    point = source.next_point()
    assert point is not None
    source.conclude(point, [_finished(point, value) for value in (1.0, 2.0, 6.0)])
    assert source.study.best_value == 3.0


def test_several_objectives_give_a_front(tmp_path: Path) -> None:
    source = study(
        tmp_path, "x=interval(-4,4)", num_trials=20, sampler="nsga2", objectives={"value": "min", "negative": "min"}
    )
    _, records = run_fake_sweep(lambda params, ask: float(params["x"]), source, tmp_path)
    # What is gained in one is lost in the other: no point is better than another.
    assert len(source.study.best_trials) == len(records) == 20


def test_two_processes_share_the_trials_of_one_study_in_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    here, there = (study(tmp_path / name, "x=interval(-4,4)", num_trials=9, url=url) for name in ("here", "there"))
    points = []
    for source in (here, there, there, here):
        point = source.next_point()
        assert point is not None
        points.append((source, point))
    # A third one does not take over what the others are running.
    late = study(tmp_path / "late", "x=interval(-4,4)", num_trials=9, url=url)
    _run_quadratic(late)
    for source, point in points:
        source.conclude(point, [_finished(point, float(point.params["x"]) ** 2)])
    trials = optuna.load_study(study_name="study", storage=url).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 9
    assert here.next_point() is None


def _run_quadratic(source: Study) -> None:
    while (point := source.next_point()) is not None:
        source.conclude(point, [_finished(point, float(point.params["x"]) ** 2)])


NUM_EPOCHS = 27


def _curve(params: dict[str, str], epoch: int) -> float:
    """A rigged objective: what is best at the end is ahead from the beginning."""
    return (float(params["x"]) - 1) ** 2 + 1 / epoch


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_pruning_finds_the_same_best_trial_with_half_the_epochs(pruner: str, tmp_path: Path) -> None:
    points = [{"x": str(value / 10)} for value in random.Random(0).sample(range(-40, 41), 40)]
    source = study(
        tmp_path,
        "x=interval(-4,4)",
        num_trials=len(points),
        pruner=pruner,
        known_points=points,
        storage=InMemoryStorage(),
        max_epochs=NUM_EPOCHS,
    )
    num_epochs = 0
    finished = []
    while (point := source.next_point()) is not None:
        for epoch in range(1, NUM_EPOCHS + 1):
            num_epochs += 1
            record = _finished(point, _curve(point.params, epoch))
            if source.is_to_be_pruned(point, epoch=epoch, value=_curve(point.params, epoch)):
                record.status = "pruned"
                break
        else:
            finished.append(point.params)
        source.conclude(point, [record])
    assert num_epochs <= 0.5 * NUM_EPOCHS * len(points)
    ranked = sorted(points, key=lambda point: _curve(point, NUM_EPOCHS))
    assert min(finished, key=lambda point: _curve(point, NUM_EPOCHS)) == ranked[0]


def test_a_trial_in_its_own_process_is_told_to_end(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        for epoch in range(1, 4):
            if ask(epoch, float(params["x"])):
                raise RunPruned("pruned", value=float(params["x"]))
        return float(params["x"])

    known = [{"x": "0.1"}, {"x": "0.1"}, {"x": "0.9"}]
    source = study(tmp_path, "x=interval(0,1)", num_trials=3, pruner="asha", known_points=known)
    _, records = run_fake_sweep(objective, source, tmp_path)
    assert [record.status for record in records][-1] == "pruned"
    assert source.study.trials[-1].state.name == "PRUNED"
    assert list(source.study.trials[-1].intermediate_values) == [1]

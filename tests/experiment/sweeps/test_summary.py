"""What is told of a sweep at its end."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from experiment.sweeps.request import SweepRequest
from experiment.sweeps.search_space import SearchSpace
from experiment.sweeps.summary import Summary, results_of
from experiment.sweeps.sweep_directory import SweepDirectory
from experiment.sweeps.trial_records import Status, TrialRecord, TrialRecords


def _record(
    number: int, *, point: int, objective: float | None, status: Status = "finished", **params: str
) -> TrialRecord:
    record = TrialRecord(number, point, params, [], seed=None, status=status, objective=objective, seconds=1.5)
    record.metrics = {} if objective is None else {"loss": -objective, "accuracy": objective}
    return record


def _request(*overrides: str, **objectives: str) -> SweepRequest:
    space = SearchSpace(overrides, {}, loader=None)
    definition = {"experiment": "vgg_digits", "method": "grid", "objectives": objectives}
    return SweepRequest(definition, {}, [], space, 20, [], {}, [])


def test_points_are_ranked_by_the_mean_over_their_seeds() -> None:
    values = {0: (0.5, 0.7, 0.6), 1: (0.9, 0.1, 0.2), 2: (0.65, 0.66, 0.61)}
    records = [
        _record(point * 3 + seed, point=point, objective=value, x=str(point))
        for point, of_point in values.items()
        for seed, value in enumerate(of_point)
    ]
    results = results_of(records, {"val/accuracy": "max"})
    assert [result.number for result in results] == [2, 0, 1]
    for result in results:
        assert result.values["val/accuracy"] == pytest.approx(statistics.mean(values[result.number]))
        assert result.deviations["val/accuracy"] == pytest.approx(statistics.stdev(values[result.number]))
        assert result.seconds == 4.5


def test_points_without_a_result_come_last_and_the_smallest_is_best_where_asked() -> None:
    records = [
        _record(0, point=0, objective=None, status="failed"),
        _record(1, point=1, objective=3.0),
        _record(2, point=2, objective=float("nan")),
        _record(3, point=3, objective=0.0),
        _record(4, point=4, objective=1.0, status="pruned"),
    ]
    results = results_of(records, {"val/loss": "min"})
    assert [result.number for result in results] == [3, 1, 4, 2, 0]


def _summarize(tmp_path: Path, request: SweepRequest, records: list[TrialRecord]) -> dict[str, Any]:
    sweep = SweepDirectory(tmp_path / "sweep")
    sweep.create(request.definition, argv=[])
    kept = TrialRecords(sweep.path)
    for record in records:
        kept.write(record)
    summary = Summary(request, sweep, TrialRecords(sweep.path), num_trials=len(records))
    summary.print_table()
    summary.write(status="finished")
    summary.write_report()
    return sweep.content()


def test_the_table_the_file_and_the_plots_have_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        _record(number, point=number, objective=0.5 + number / 10, lr=lr, kind=kind)
        for number, (lr, kind) in enumerate([("0.001", "a"), ("0.001", "b"), ("0.1", "a"), ("0.1", "b")])
    ]
    records[1].status, records[1].error, records[1].objective = "failed", "broken", None
    content = _summarize(tmp_path, _request("lr=0.001,0.1", "kind=a,b", **{"val/accuracy": "max"}), records)
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["1", "3", "0.1", "b", "0.8000", "finished", "1.5", "s"] in lines
    assert ["4", "1", "0.001", "b", "failed", "1.5", "s"] in lines
    assert "3 finished, 1 failed" in printed
    assert "python train.py lr=0.1 kind=b" in printed
    assert content["best"]["params"] == {"lr": "0.1", "kind": "b"}
    assert len(content["points"]) == 4
    assert content["failures"] == [{"trial": 1, "status": "failed", "error": "broken"}]
    html = (tmp_path / "sweep" / "report.html").read_text()
    # Offline: the drawing library is in the file.
    assert html.count('class="plotly-graph-div"') == 4
    assert "<script src=" not in html
    json.dumps(content, allow_nan=False)


def test_several_objectives_have_a_front_and_plots_of_each(tmp_path: Path) -> None:
    records = [_record(number, point=number, objective=value, x=str(value)) for number, value in enumerate((0.1, 0.4))]
    content = _summarize(tmp_path, _request("x=interval(0,1)", accuracy="max", loss="min"), records)
    assert content["best"]["values"] == {"accuracy": 0.4, "loss": -0.4}
    assert (tmp_path / "sweep" / "report.html").read_text().count('class="plotly-graph-div"') == 5


def test_too_few_points_are_not_drawn(tmp_path: Path) -> None:
    _summarize(tmp_path, _request("x=1", **{"val/accuracy": "max"}), [_record(0, point=0, objective=0.1)])
    assert not (tmp_path / "sweep" / "report.html").exists()

"""What came of a sweep: a line a trial, a table, `sweep.json`, and Optuna's plots as one HTML file."""

import math
from collections.abc import Iterable
from statistics import mean, stdev
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from experiment.run_directory import short_path
from experiment.sweeps.request import SweepRequest
from experiment.sweeps.sweep_directory import SweepDirectory
from experiment.sweeps.trial_records import TrialRecord, TrialRecords

_STYLES = {"finished": "green", "pruned": "blue", "interrupted": "yellow", "running": "cyan"}


class PointResult(NamedTuple):
    """A point and its trials under all seeds: of every objective the mean and the standard deviation over them."""

    number: int
    params: dict[str, str]
    status: str
    values: dict[str, float | None]
    deviations: dict[str, float | None]
    trials: list[int]
    seconds: float


def results_of(records: Iterable[TrialRecord], objectives: dict[str, str]) -> list[PointResult]:
    """The points of a sweep, the best first; those that did not finish after them, those without a number last."""
    points: dict[int, list[TrialRecord]] = {}
    for record in records:
        points.setdefault(record.point, []).append(record)
    results = [_result(number, of_point, objectives) for number, of_point in points.items()]
    name, mode = next(iter(objectives.items()))

    def rank(result: PointResult) -> tuple[bool, bool, float, int]:
        value = result.values[name]
        is_valid = value is not None and math.isfinite(value)
        sign = -1.0 if mode == "max" else 1.0
        return (not is_valid, result.status != "finished", sign * value if is_valid and value else 0.0, result.number)

    return sorted(results, key=rank)


def _result(number: int, records: list[TrialRecord], objectives: dict[str, str]) -> PointResult:
    values: dict[str, float | None] = {}
    deviations: dict[str, float | None] = {}
    for name in objectives:
        found = [record.objective if len(objectives) == 1 else record.metrics.get(name) for record in records]
        numbers = [value for value in found if value is not None]
        values[name] = mean(numbers) if numbers else None
        deviations[name] = stdev(numbers) if len(numbers) > 1 else None
    statuses = [record.status for record in records]
    worst = next((status for status in statuses if status != "finished"), "finished")
    return PointResult(
        number,
        records[0].params,
        worst,
        values,
        deviations,
        [record.number for record in records],
        sum(record.seconds for record in records),
    )


class Summary:
    """Tells of a sweep, on the screen and in its directory."""

    def __init__(
        self, request: SweepRequest, sweep: SweepDirectory, records: TrialRecords, *, num_trials: int | None
    ) -> None:
        self._request = request
        self._sweep = sweep
        self._records = records
        self._num_trials = num_trials
        self._objectives = request.objectives

    def print_header(self, *, num_slots: int) -> None:
        """What is to be run, and what is there already."""
        kept = sum(record.is_ended for record in self._records)
        of_all = "" if self._num_trials is None else f" of {self._num_trials}"
        at_once = "" if num_slots == 1 else f", {num_slots} at a time"
        verb = f"continuing sweep {self._sweep.id}, {kept}{of_all} trials kept" if kept else f"sweep {self._sweep.id}"
        print(f"{verb}: {self._num_trials} trials{at_once}, in {short_path(self._sweep.path)}", flush=True)
        if self._num_trials is not None and kept >= self._num_trials:
            print("nothing is left to run; sweep.resume=never starts the same sweep anew", flush=True)

    def print_trial(self, record: TrialRecord) -> None:
        """One that has ended."""
        name = next(iter(self._objectives))
        value = "" if record.objective is None else f"  {name} {record.objective:.4f}"
        seed = "" if record.seed is None else f" seed={record.seed}"
        error = "" if record.error is None else f"\n    {record.error}"
        params = " ".join(f"{key}={shortened(text)}" for key, text in record.params.items())
        of_all = "" if self._num_trials is None else f"/{self._num_trials}"
        done = sum(other.is_ended for other in self._records)
        print(
            f"[{done}{of_all}] trial {record.number} {record.status}{value}  {record.seconds:.1f} s"
            f"  {params}{seed}{error}",
            flush=True,
        )

    def print_table(self) -> None:
        """All points, the best first."""
        results = results_of(self._records, self._objectives)
        table = Table(box=None, pad_edge=False)
        keys = list(dict.fromkeys(key for result in results for key in result.params))
        for column in (
            "rank",
            "trials" if self._request.seeds else "trial",
            *keys,
            *self._objectives,
            "status",
            "time",
        ):
            table.add_column(column, no_wrap=True)
        for rank, result in enumerate(results, start=1):
            table.add_row(
                str(rank),
                _numbers(result.trials),
                *(shortened(result.params.get(key, "")) for key in keys),
                *(_with_deviation(result, name) for name in self._objectives),
                f"[{_STYLES.get(result.status, 'red')}]{result.status}[/]",
                f"{result.seconds:.1f} s",
            )
        console = Console(highlight=False)
        widest = console.measure(table, options=console.options.update(width=10_000)).maximum
        console.width = max(console.width, widest)
        print()
        console.print(table)
        counts: dict[str, int] = {}
        for record in self._records:
            counts[record.status] = counts.get(record.status, 0) + 1
        print("\n" + ", ".join(f"{count} {status}" for status, count in counts.items()), flush=True)

    def write(self, *, status: str) -> None:
        """`sweep.json`."""
        results = results_of(self._records, self._objectives)
        best = next((result for result in results if result.status == "finished"), None)
        self._sweep.update(
            status=status,
            objectives=self._objectives,
            best=None if best is None else best._asdict(),
            points=[result._asdict() for result in results],
            failures=[
                {"trial": record.number, "status": record.status, "error": record.error}
                for record in self._records
                if record.error is not None
            ],
        )

    def write_report(self) -> None:
        """`report.html`, if there is something to draw; where it and the sweep are."""
        from experiment.sweeps.plots import write_plots

        results = results_of(self._records, self._objectives)
        file = self._sweep.path / "report.html"
        rows = [("sweep", short_path(self._sweep.path))]
        if write_plots(results, self._request, file):
            rows.append(("plots", short_path(file)))
        if results and results[0].status == "finished":
            rows.append(("best", best_command(results[0], self._request)))
        width = max(len(name) for name, _ in rows)
        print("\n".join(f"{name:<{width}}  {value}" for name, value in rows), flush=True)


def best_command(result: PointResult, request: SweepRequest) -> str:
    """What trains a point alone."""
    import shlex

    from experiment.sweeps.search_space import overrides_of

    return shlex.join(["python", "train.py", *request.fixed, *overrides_of(result.params)])


def shortened(text: str) -> str:
    """A number with four digits, all else as it is."""
    try:
        return f"{float(text):.4g}" if "." in text or "e" in text else text
    except ValueError:
        return text


def _with_deviation(result: PointResult, name: str) -> str:
    value, deviation = result.values[name], result.deviations[name]
    if value is None:
        return ""
    return f"{value:.4f}" if deviation is None else f"{value:.4f} ± {deviation:.4f}"


def _numbers(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"

"""Sweeps whose trials are functions in place of trainings, run by the real server and scheduler.

As a program (`python -m tests.experiment.sweeps.fake_trials <sweep dir> <number of trials> <seconds a trial>`) a search
for the minimum of a parabola.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from experiment.sweeps.fork_server import ForkServer, TrialRequest
from experiment.sweeps.points import Grid, PointSource
from experiment.sweeps.scheduler import Plan, Scheduler
from experiment.sweeps.search_space import SearchSpace
from experiment.sweeps.slots import Slot
from experiment.sweeps.study import Search, Study, open_storage
from experiment.sweeps.trial import ask_through, outcome_of
from experiment.sweeps.trial_records import Outcome, TrialRecord, TrialRecords

SEARCH_OPTIONS = {
    "sampler": "tpe",
    "num_startup_trials": 3,
    "population_size": 4,
    "pruner": None,
    "pruner_warmup_epochs": 1,
    "pruner_factor": 3,
}
Objective = Callable[[dict[str, str], Callable[[int, float], bool]], float]


def run_fake_sweep(
    objective: Objective,
    source: PointSource,
    sweep_dir: Path,
    *,
    num_slots: int = 1,
    tell: Callable[[TrialRecord], None] = lambda record: None,
    **plan: Any,
) -> tuple[int | None, list[TrialRecord]]:
    """The exit code of an interruption, and what became of the trials."""

    def main(request: TrialRequest, connection: Connection) -> None:
        params = dict(override.split("=", 1) for override in request.overrides)
        try:
            value = objective(params, ask_through(connection))
        except BaseException as error:
            connection.send(outcome_of_fake(error))
            raise
        connection.send(Outcome("finished", value, metrics={"value": value, "negative": -value}, error=None))

    records = TrialRecords(sweep_dir)
    server = ForkServer(main, lambda: None)
    settings = {"fixed": [], "seeds": [], "environment": {}, "timeout_s": None, "retries_failed": False, **plan}
    slots = [Slot(number, {"SLOT": str(number)}) for number in range(num_slots)]
    try:
        scheduler = Scheduler(source, server, records, slots=slots, plan=Plan(**settings), tell=tell)
        return scheduler.run(), list(records)
    finally:
        server.close()


def outcome_of_fake(error: BaseException) -> Outcome:
    os.environ["FIRSTHAND_TRIAL_DIR"] = "nowhere"
    return outcome_of(error)


def grid(*overrides: str) -> Grid:
    return Grid(SearchSpace(overrides, {}, loader=None))


def study(sweep_dir: Path, *overrides: str, num_trials: int, url: str | None = None, **options: Any) -> Study:
    space = SearchSpace(overrides, {}, loader=None)
    objectives = options.pop("objectives", {"value": "min"})
    known_points = options.pop("known_points", [])
    sweep_dir.mkdir(parents=True, exist_ok=True)
    storage = options.pop("storage", None) or open_storage(url, sweep_dir)
    search = Search(num_trials, 7, objectives, {**SEARCH_OPTIONS, **options}, options.pop("max_epochs", None))
    return Study(
        space.distributions(),
        search,
        TrialRecords(sweep_dir),
        storage=storage,
        name="study",
        known_points=known_points,
    )


def main(sweep_dir: Path, num_trials: int, seconds: float) -> None:
    def parabola(params: dict[str, str], ask: Callable[[int, float], bool]) -> float:
        with (sweep_dir / "calls").open("a") as calls:
            calls.write(f"{os.getpid()} {params['x']}\n")
        time.sleep(seconds)
        return (float(params["x"]) - 1) ** 2

    source = study(sweep_dir, "x=interval(-4,4)", num_trials=num_trials)
    run_fake_sweep(parabola, source, sweep_dir, tell=lambda record: print(record.number, record.status, flush=True))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))

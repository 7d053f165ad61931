"""`runs.py best <metric>`: which runs reached the best value of a metric, over all their epochs."""

import json
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from experiment.failures import Refused
from experiment.runs.curves import Direction, Point, best_point, direction_of, read_curves
from experiment.runs.listing import print_columns
from experiment.runs.summaries import Summary, changes_of, config_value, select


class Ranked(NamedTuple):
    """A run and the best point of its curve."""

    run: Summary
    point: Point


def answer(arguments: Namespace) -> int:
    """The best runs first."""
    runs = select(arguments.conditions)
    ranked = rank(runs, arguments.metric, direction=arguments.mode)
    if arguments.limit is not None:
        ranked = ranked[: arguments.limit]
    if arguments.json:
        rows = [{**entry.run, "best": {"metric": arguments.metric, **entry.point._asdict()}} for entry in ranked]
        print(json.dumps(rows, indent=1))
        return 0
    print_columns(
        {
            arguments.metric: [f"{entry.point.value:.6g}" for entry in ranked],
            "step": [str(entry.point.step) for entry in ranked],
            "epoch": ["" if entry.point.epoch is None else str(entry.point.epoch) for entry in ranked],
            "run": [entry.run["id"] for entry in ranked],
            "status": [entry.run["status"] for entry in ranked],
            "experiment": [entry.run["experiment"] for entry in ranked],
            "seed": [str(entry.run["seed"]) for entry in ranked],
            "changes": [changes_of(entry.run) for entry in ranked],
        }
    )
    return 0


def rank(runs: list[Summary], metric: str, *, direction: Direction | None) -> list[Ranked]:
    """Runs by the best value of their curve of a metric; runs that never logged it are left out.

    Raises:
        Refused: no run logged it, or nothing says what is better.
    """
    curves = [(run, read_curves(Path(run["dir"]), only=metric).get(metric)) for run in runs]
    logged = [(run, points) for run, points in curves if points]
    if not logged:
        names = sorted({name for run in runs for name in run["metrics"]})
        raise Refused(f"none of {len(runs)} runs logged {metric}; there are: {', '.join(names) or 'no metrics'}")
    if direction is None:
        objective = {key: config_value(logged[0][0], key) for key in ("objective", "objective_mode")}
        direction = direction_of(metric, objective)
    if direction is None:
        raise Refused(f"nothing says whether {metric} is better when larger or smaller; add --mode max or --mode min")
    ranked = [Ranked(run, point) for run, points in logged if (point := best_point(points, direction)) is not None]
    return sorted(ranked, key=lambda entry: entry.point.value, reverse=direction == "max")

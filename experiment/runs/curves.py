"""Metrics over steps, from `metrics.jsonl`."""

import json
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

Direction = Literal["min", "max"]

# The key of a row that says from where a run went on: what had been logged from that step on is logged again.
_RESUMED = "resumed_at_step"


class Point(NamedTuple):
    """One value of a metric; the epoch is None where none was logged."""

    step: int
    epoch: int | None
    value: float


def read_curves(run_dir: Path, *, only: str | None = None) -> dict[str, list[Point]]:
    """Of every metric its points in the order of steps; what a resumed run logged again counts once, as logged last.

    Args:
        only: read this metric alone, which takes a fraction of the time.
    """
    by_step: dict[str, dict[int, Point]] = {}
    file = run_dir / "metrics.jsonl"
    if not file.exists():
        return {}
    needle = json.dumps(only or "")[1:-1]
    for line in file.read_text().splitlines():
        if needle not in line and _RESUMED not in line:
            continue
        try:
            row = json.loads(line)
        except ValueError:
            # A line that a kill cut off.
            continue
        if _RESUMED in row:
            for points in by_step.values():
                for step in [step for step in points if step >= row[_RESUMED]]:
                    del points[step]
            continue
        for name, value in row["metrics"].items():
            if only in (None, name):
                by_step.setdefault(name, {})[row["step"]] = Point(row["step"], row["epoch"], float(value))
    return {name: [points[step] for step in sorted(points)] for name, points in sorted(by_step.items())}


def direction_of(metric: str, config: dict[str, Any]) -> Direction | None:
    """Whether a metric is better when larger or smaller; None where nothing says so.

    The configuration says it of its objective, and so of the same quantity of another split.
    """
    quantity = metric.rpartition("/")[2].removesuffix("_step")
    if quantity == str(config["objective"]).rpartition("/")[2]:
        direction: Direction = config["objective_mode"]
        return direction
    return "min" if quantity.endswith("loss") else None


def best_point(points: list[Point], direction: Direction) -> Point | None:
    """The first of the best; None if no value is a number."""
    finite = [point for point in points if math.isfinite(point.value)]
    if not finite:
        return None
    best = max if direction == "max" else min
    return best(finite, key=lambda point: point.value)


def best_values(run_dir: Path, config: dict[str, Any]) -> dict[str, Point]:
    """Of every metric with more than one value, and of which it is known what is better, its best."""
    found = {}
    for name, points in read_curves(run_dir).items():
        direction = direction_of(name, config)
        if direction is not None and len(points) > 1 and (best := best_point(points, direction)) is not None:
            found[name] = best
    return found

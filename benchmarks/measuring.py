"""Rounds in turn, medians, ratios: on a shared machine no single time means anything."""

import statistics
from collections.abc import Callable
from typing import TypedDict


class Figure(TypedDict):
    """One variant of a comparison: its median in seconds, and the median ratio to the first variant, round by round."""

    variant: str
    median_s: float
    ratio: float


def compare(variants: dict[str, Callable[[], float]], *, rounds: int) -> list[Figure]:
    """Run all variants in turn, as often as asked; each returns its own time in seconds."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, measure in variants.items():
            times[name].append(measure())
    first = times[next(iter(variants))]
    return [
        Figure(
            variant=name,
            median_s=statistics.median(values),
            ratio=statistics.median(value / base for value, base in zip(values, first, strict=True)),
        )
        for name, values in times.items()
    ]

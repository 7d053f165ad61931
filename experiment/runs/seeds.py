"""`runs.py seeds`: mean and spread over runs that differ in their seed alone."""

import json
import re
import statistics
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from experiment.runs.listing import print_columns
from experiment.runs.summaries import Summary, changes_of, select

# Of a configuration: what does not change what a run computes, and the seed.
_IGNORED_BLOCKS = ("seed", "tags", "notes", "paths", "logger", "check", "resume", "fork", "show_traceback")

_MANY = 8


class Spread(NamedTuple):
    """Of a metric over runs: how many have it, the mean, and the sample standard deviation (None of a single run)."""

    num_runs: int
    mean: float
    std: float | None
    smallest: float
    largest: float


class Group(NamedTuple):
    """Runs of one configuration, and the spread of every metric of the finished ones."""

    runs: list[Summary]
    spreads: dict[str, Spread]


def answer(arguments: Namespace) -> int:
    """A row for each configuration, with the spread of its test metrics, or of those asked for."""
    runs = [run for run in select(arguments.conditions) if run["status"] == "finished"]
    groups = group_by_configuration(runs)
    if arguments.json:
        rows = [
            {
                "experiment": group.runs[0]["experiment"],
                "changes": changes_of(group.runs[0]),
                "runs": [run["id"] for run in group.runs],
                "seeds": [run["seed"] for run in group.runs],
                "metrics": {name: spread._asdict() for name, spread in group.spreads.items()},
            }
            for group in groups
        ]
        print(json.dumps(rows, indent=1))
        return 0
    if not groups:
        print("no finished runs that meet this")
        return 0
    names = arguments.metrics or sorted({name for g in groups for name in g.spreads if name.startswith("test/")})
    columns = {
        "experiment": [group.runs[0]["experiment"] for group in groups],
        "runs": [str(len(group.runs)) for group in groups],
        "seeds": [_in_short([run["seed"] for run in group.runs]) for group in groups],
        "changes": [changes_of(group.runs[0]) for group in groups],
        "note": [_note(group) for group in groups],
    }
    columns |= {name: [_shown(group.spreads.get(name)) for group in groups] for name in names}
    print_columns(columns)
    return 0


def group_by_configuration(runs: list[Summary]) -> list[Group]:
    """Runs whose configurations differ in the seed and in what watches a run alone, in the order of their first."""
    groups: dict[tuple[str, str], list[Summary]] = {}
    for run in runs:
        text = (Path(run["dir"]) / "config.yaml").read_text()
        groups.setdefault((run["experiment"], without_ignored(text)), []).append(run)
    return [Group(members, _spreads(members)) for members in groups.values()]


def without_ignored(config_text: str) -> str:
    """The configuration as composed, where data.seed is a pointer to the seed, without the ignored blocks."""
    blocks = re.split(r"\n(?=\w)", config_text)
    return "\n".join(block for block in blocks if block.partition(":")[0] not in _IGNORED_BLOCKS)


def _spreads(runs: list[Summary]) -> dict[str, Spread]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run["metrics"].items():
            values.setdefault(name, []).append(value)
    return {
        name: Spread(
            len(found),
            statistics.fmean(found),
            statistics.stdev(found) if len(found) > 1 else None,
            min(found),
            max(found),
        )
        for name, found in sorted(values.items())
    }


def _note(group: Group) -> str:
    """What a reader must know before trusting the mean."""
    notes = []
    seeds = [run["seed"] for run in group.runs]
    if len(set(seeds)) < len(seeds):
        notes.append("a seed counts twice")
    if len({run["git"]["sha"] for run in group.runs}) > 1:
        notes.append("code differs")
    if len({run["data_fingerprint"] for run in group.runs}) > 1:
        notes.append("data differs")
    return ", ".join(notes)


def _in_short(seeds: list[int]) -> str:
    return " ".join(map(str, seeds)) if len(seeds) <= _MANY else f"{seeds[0]} {seeds[1]} ... {seeds[-1]}"


def _shown(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.mean:.4f} ± {spread.std:.4f}" if spread.std is not None else f"{spread.mean:.4f}"

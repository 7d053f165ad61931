"""`runs.py ls`: past runs as a table."""

import json
from argparse import Namespace
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from experiment.runs.summaries import Summary, age_s, changes_of, outputs_dir, select, value_of

STATUS_STYLES = {"finished": "green", "failed": "red", "interrupted": "yellow", "running": "cyan", "pruned": "blue"}


def answer(arguments: Namespace) -> int:
    """The runs that were asked for, the newest or the largest last."""
    runs = select(arguments.conditions)
    if arguments.sort:
        runs = sorted_by(runs, arguments.sort)
    if arguments.limit is not None:
        runs = runs[-arguments.limit :] if arguments.limit > 0 else []
    if arguments.json:
        print(json.dumps(runs, indent=1))
    elif not runs:
        print(f"no runs in {outputs_dir()}{' that meet this' if arguments.conditions else ''}")
    else:
        print_columns(_columns(runs, extra=arguments.columns or ([arguments.sort] if arguments.sort else [])))
    return 0


def sorted_by(runs: list[Summary], key: str) -> list[Summary]:
    """In ascending order of a value; those without it come first, those of another kind than a number by their text."""
    values = [value_of(run, key) for run in runs]

    def rank(index: int) -> tuple[bool, float, str]:
        value = values[index]
        is_number = isinstance(value, int | float)
        return value is not None, value if is_number else 0.0, "" if is_number or value is None else str(value)

    return [runs[index] for index in sorted(range(len(runs)), key=rank)]


def _columns(runs: list[Summary], *, extra: list[str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {
        "run": [run["id"] for run in runs],
        "experiment": [run["experiment"] for run in runs],
        "status": [run["status"] for run in runs],
        "seed": [str(run["seed"]) for run in runs],
        "epochs": [str(run["num_epochs"]) for run in runs],
        "time": [f"{run['wall_time_s']:.0f} s" for run in runs],
        "age": [age_in_words(age_s(run)) for run in runs],
        "sweep": [str(run["sweep"] or "") for run in runs],
        "tags": [" ".join(run["tags"]) for run in runs],
        "changes": [changes_of(run) for run in runs],
    }
    columns |= {key: [as_shown(value_of(run, key)) for run in runs] for key in extra}
    columns["metrics"] = [
        "  ".join(f"{name} {value:.4g}" for name, value in _shown_metrics(run["metrics"]).items()) for run in runs
    ]
    return columns


def print_columns(columns: dict[str, list[str]]) -> None:
    """A table as wide as it needs to be, for an id that is cut short cannot be copied; empty columns are left out.

    rich's Table takes 0.8 s for a thousand rows.
    """
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    widths = [max(cell_len(cell) for cell in (name, *cells)) for name, cells in filled.items()]
    text = Text()
    for row in [tuple(filled), *zip(*filled.values(), strict=True)]:
        for name, cell, width in zip(filled, row, widths, strict=True):
            text.append(cell, style="bold" if cell == name else STATUS_STYLES.get(cell) if name == "status" else None)
            text.append(" " * (width - cell_len(cell) + 2))
        text.rstrip()
        text.append("\n")
    Console(highlight=False, soft_wrap=True).print(text, end="")


def as_shown(value: Any) -> str:
    """A value in a cell: numbers with four digits, nothing for None."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def age_in_words(seconds: float) -> str:
    """In the largest unit that gives at least one."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _shown_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Those of the test, or as long as there are none, of the validation."""
    for split in ("test/", "val/"):
        if chosen := {name: value for name, value in sorted(metrics.items()) if name.startswith(split)}:
            return chosen
    return {}

"""`runs.py export`: runs or their metric histories as CSV or JSON, for a spreadsheet or a notebook."""

import csv
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, TextIO

from experiment.runs.curves import read_curves
from experiment.runs.summaries import Summary, config_of, flat, select

_FIELDS = ("id", "dir", "experiment", "status", "error", "seed", "started", "ended", "wall_time_s", "num_epochs")
_MORE_FIELDS = ("global_step", "sweep", "parent", "notes", "data_fingerprint")


def answer(arguments: Namespace) -> int:
    """One row a run, or with `--history` one row a metric and step."""
    runs = select(arguments.conditions)
    rows = history_rows(runs) if arguments.history else run_rows(runs)
    if arguments.output is None:
        _write(rows, sys.stdout, as_json=arguments.format == "json")
        return 0
    file = Path(arguments.output)
    with file.open("w", newline="") as stream:
        _write(rows, stream, as_json=arguments.format == "json" or file.suffix == ".json")
    print(f"{len(rows)} rows in {file}")
    return 0


def run_rows(runs: list[Summary]) -> list[dict[str, Any]]:
    """Record, metrics and configuration of each run, flat: `config.optim.lr`, `metrics.test/accuracy`."""
    return [
        {
            **{field: run.get(field) for field in (*_FIELDS, *_MORE_FIELDS)},
            "tags": " ".join(run["tags"]),
            "commit": run["git"]["sha"],
            "has_changes": run["git"]["is_dirty"],
            **{f"metrics.{name}": value for name, value in sorted(run["metrics"].items())},
            **{f"config.{name}": value for name, value in flat(config_of(run)).items()},
        }
        for run in runs
    ]


def history_rows(runs: list[Summary]) -> list[dict[str, Any]]:
    """Every value of every metric."""
    return [
        {"run": run["id"], "experiment": run["experiment"], "metric": metric, **point._asdict()}
        for run in runs
        for metric, points in read_curves(Path(run["dir"])).items()
        for point in points
    ]


def _write(rows: list[dict[str, Any]], stream: TextIO, *, as_json: bool) -> None:
    if as_json:
        stream.write(json.dumps(rows, indent=1) + "\n")
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)

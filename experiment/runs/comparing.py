"""`runs.py compare`: runs beside each other on the terminal, and as an HTML report in one file."""

import json
import time
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from experiment.failures import Refused
from experiment.run_directory import short_path
from experiment.runs.comparison import Comparison, compare
from experiment.runs.curves import Point
from experiment.runs.listing import as_shown, print_columns
from experiment.runs.report_page import static_report
from experiment.runs.summaries import outputs_dir, select_named
from experiment.runs.terminal_plot import COLOURS, plot

_PLOT_HEIGHT = 14


def answer(arguments: Namespace) -> int:
    """Print the comparison and write the report."""
    runs = select_named(arguments.runs)
    comparison = compare(runs)
    if arguments.json:
        print(json.dumps(comparison, indent=1))
        return 0
    _print(comparison, metric=arguments.metric)
    file = Path(arguments.html or outputs_dir() / "comparisons" / f"{time.strftime('%Y%m%d-%H%M%S')}.html")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(static_report(comparison, runs))
    print(f"\nreport: {short_path(file)} (curves, configurations, pictures; opens in any browser, without a network)")
    return 0


def _print(comparison: Comparison, *, metric: str | None) -> None:
    console = Console(highlight=False)
    runs = comparison["runs"]
    metric = metric or comparison["objective"]
    if metric not in comparison["curves"]:
        raise Refused(f"none of these runs logged {metric}; there are: {', '.join(comparison['metrics']) or 'none'}")
    curves = [
        [
            Point(*point)
            for point in zip(curve["step"], curve["epoch"], curve["value"], strict=True)
            if point[2] is not None
        ]
        for curve in comparison["curves"][metric]
    ]
    console.print(plot(curves, title=metric, width=max(20, min(console.width, 120) - 14), height=_PLOT_HEIGHT), end="")
    names = [name for name in comparison["metrics"] if name.startswith(("val/", "test/"))]
    print_columns(
        {
            "": [f"{COLOURS[index % len(COLOURS)]}" for index in range(len(runs))],
            "run": [run["id"] for run in runs],
            "status": [run["status"] for run in runs],
            **{key: [as_shown(value) for value in values] for key, values in comparison["config"]["differing"].items()},
            **{name: [_metric_cell(run, name) for run in runs] for name in names},
        }
    )
    for key, values in comparison["provenance"].items():
        console.print(f"{key} differs: {', '.join(map(str, dict.fromkeys(map(str, values))))}", markup=False)


def _metric_cell(run: Comparison, name: str) -> str:
    best = run["best"].get(name)
    last = as_shown(run["metrics"].get(name))
    return f"{last} (best {best['value']:.4g})" if best is not None else last

"""Past runs on the screen, or as JSON; read from the ledger alone, without importing torch."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from experiment.run_directory import RunDirectory, find_run, list_runs

_STATUS_STYLES = {"finished": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def outputs_dir() -> Path:
    """Where runs are, as conf/paths has it."""
    return Path(os.environ.get("FIRSTHAND_OUTPUTS", "outputs"))


def list_table(*, experiment: str | None, as_json: bool) -> None:
    """All runs, the oldest first."""
    runs = [run for run in list_runs(outputs_dir()) if experiment in (None, run.path.parent.name)]
    if as_json:
        print(json.dumps([_summary(run) for run in runs], indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "experiment", "status", "seed", "epochs", "time", "metrics"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        summary = _summary(run)
        status = summary["status"]
        table.add_row(
            run.id,
            summary["experiment"],
            f"[{_STATUS_STYLES.get(status, 'white')}]{status}[/]",
            str(summary["seed"]),
            str(summary["num_epochs"]),
            f"{summary['wall_time_s']:.0f} s",
            "  ".join(f"{name} {value:.4g}" for name, value in _shown_metrics(summary["metrics"]).items()),
        )
    if not runs:
        print(f"no runs in {outputs_dir()}")
        return
    # As wide as it needs to be: an id that is cut short cannot be copied.
    console = Console(highlight=False)
    widest = console.measure(table, options=console.options.update(width=10_000)).maximum
    console.width = max(console.width, widest)
    console.print(table)


def show_run(reference: str, *, as_json: bool) -> None:
    """One run in full.

    Raises:
        Refused: there is no such run.
    """
    run = find_run(reference, outputs_dir())
    summary = _summary(run)
    summary["config"] = yaml.safe_load((run.path / "config.resolved.yaml").read_text())
    if as_json:
        print(json.dumps(summary, indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    for key in (
        "id",
        "dir",
        "status",
        "error",
        "experiment",
        "seed",
        "started",
        "wall_time_s",
        "num_epochs",
        "global_step",
    ):
        if summary.get(key) is not None:
            console.print(f"[bold]{key:<12}[/] {summary[key]}", markup=True)
    git = summary["git"]
    console.print(f"[bold]{'git':<12}[/] {git['sha']}{' with changes' if git['is_dirty'] else ''}")
    for name, value in sorted(summary["metrics"].items()):
        console.print(f"[bold]{name:<20}[/] {value:.6g}")
    console.print(yaml.safe_dump(summary["config"], sort_keys=False), markup=False)


def _summary(run: RunDirectory) -> dict[str, Any]:
    record = run.record()
    metrics = record["metrics"] or run.last_metrics()
    return {**record, "id": run.id, "dir": str(run.path), "status": run.status(), "metrics": metrics}


def _shown_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Those of the test, or as long as there are none, of the validation."""
    for split in ("test/", "val/"):
        if chosen := {name: value for name, value in sorted(metrics.items()) if name.startswith(split)}:
            return chosen
    return {}

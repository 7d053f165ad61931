"""`runs.py show`: one run in full."""

import json
import shlex
from argparse import Namespace
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

from experiment.run_directory import find_run
from experiment.runs.curves import best_values
from experiment.runs.listing import STATUS_STYLES
from experiment.runs.summaries import config_of, outputs_dir, summary_of

_FIELDS = ("id", "dir", "status", "error", "experiment", "seed", "started", "wall_time_s", "num_epochs", "global_step")
_MORE_FIELDS = ("data_wait", "parent", "sweep", "notes", "data_fingerprint")


def answer(arguments: Namespace) -> int:
    """The run's record, metrics and configuration."""
    summary = summary_of(find_run(arguments.run, outputs_dir()))
    summary["config"] = config_of(summary)
    if arguments.json:
        print(json.dumps(summary, indent=1))
        return 0
    console = Console(soft_wrap=True, highlight=False)
    rows = {field: str(summary[field]) for field in (*_FIELDS, *_MORE_FIELDS) if summary.get(field) is not None}
    if summary["tags"]:
        rows["tags"] = " ".join(summary["tags"])
    git = summary["git"]
    rows["git"] = f"{git['sha']}{' with changes (diff.patch)' if git['is_dirty'] else ''}"
    rows["command"] = shlex.join(summary["argv"])
    if summary["resumed"]:
        rows["resumed"] = ", ".join(resumption["at"] for resumption in summary["resumed"])
    hardware = summary["hardware"]
    rows["hardware"] = ", ".join([f"{hardware['cores']} cores", f"{hardware['threads']} threads", *hardware["gpus"]])
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    for name, value in rows.items():
        style = STATUS_STYLES.get(value, "white") if name == "status" else "none"
        console.print(f"[bold]{name:<16}[/] [{style}]{escape(value)}[/]")
    best = best_values(Path(summary["dir"]), summary["config"])
    console.print()
    for name, value in sorted(summary["metrics"].items()):
        best_value = f"   best {best[name].value:.6g} at step {best[name].step}" if name in best else ""
        console.print(f"[bold]{name:<24}[/] {value:.6g}{best_value}")
    console.print()
    console.print(yaml.safe_dump(summary["config"], sort_keys=False), markup=False)
    return 0

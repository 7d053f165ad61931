"""`runs.py diff A B`: in what two runs differ: configuration, code, versions, hardware, data, metrics."""

import difflib
import json
import subprocess
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiment.provenance import PROJECT_DIR
from experiment.run_directory import find_run
from experiment.runs.summaries import Summary, compared_config, outputs_dir, summary_of

_LONGEST_PATCH_DIFFERENCE = 60
_ABSENT = "-"
Differences = dict[str, list[Any]]


def answer(arguments: Namespace) -> int:
    """Both values of everything that differs."""
    first, second = (summary_of(find_run(run, outputs_dir())) for run in (arguments.first, arguments.second))
    sections = differences(first, second)
    if arguments.json:
        print(json.dumps(sections, indent=1))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    for name, values in sections.items():
        if not values:
            console.print(f"[bold]{name}[/]: the same")
            continue
        console.print(f"[bold]{name}[/]")
        table = Table(box=None, pad_edge=False, show_header=False)
        for key, (one, other) in values.items():
            table.add_row(
                f"  {key}", *(f"[{style}]{escape(_shown(v))}[/]" for v, style in ((one, "red"), (other, "green")))
            )
        console.print(table)
    for line in code_difference(first, second):
        console.print(escape(line))
    return 0


def differences(first: Summary, second: Summary) -> dict[str, Differences]:
    """By section, of every key that differs both values; None where a run does not have the key."""
    configs = [compared_config(run) for run in (first, second)]
    code = [
        {
            "commit": run["git"]["sha"],
            "changes": _patch(run) != "" or None,
            "untracked": run["git"].get("untracked") or None,
        }
        for run in (first, second)
    ]
    return {
        "configuration": differing(*configs),
        "code": differing(*code),
        "versions": differing(first["versions"], second["versions"]),
        "hardware": differing(first["hardware"], second["hardware"]),
        "data": differing(*({"fingerprint": run["data_fingerprint"]} for run in (first, second))),
        "metrics": differing(first["metrics"], second["metrics"]),
    }


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Differences:
    """The keys under which two mappings have different values."""
    keys = list(dict.fromkeys([*first, *second]))
    return {key: [first.get(key), second.get(key)] for key in keys if first.get(key) != second.get(key)}


def code_difference(first: Summary, second: Summary) -> list[str]:
    """Which files differ between the two commits, and how the two runs' uncommitted changes differ."""
    lines = []
    commits = [run["git"]["sha"] for run in (first, second)]
    if None not in commits and commits[0] != commits[1]:
        lines += _files_between(*commits)
    one, other = (_patch(run).splitlines() for run in (first, second))
    if one != other:
        names = [f"{run['id']}/diff.patch" for run in (first, second)]
        changed = list(difflib.unified_diff(one, other, names[0], names[1], n=1, lineterm=""))
        lines += changed[:_LONGEST_PATCH_DIFFERENCE]
        if len(changed) > _LONGEST_PATCH_DIFFERENCE:
            lines.append(
                f"... and {len(changed) - _LONGEST_PATCH_DIFFERENCE} more lines: compare {' and '.join(names)}"
            )
    return lines


def _files_between(first: str, second: str) -> list[str]:
    command = ["git", "diff", "--stat", first, second]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        return [f"  the commits cannot be compared here: {done.stderr.strip().splitlines()[0]}"]
    return done.stdout.splitlines()


def _patch(run: Summary) -> str:
    file = Path(run["dir"]) / "diff.patch"
    return file.read_text() if file.exists() else ""


def _shown(value: Any) -> str:
    if value is None:
        return _ABSENT
    return f"{value:.6g}" if isinstance(value, float) else str(value)

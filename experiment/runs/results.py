"""`runs.py results`: what was measured, kept in small files under version control, and the tables made of them.

`results/<experiment>/<run id>.json` is a finished run in short; `results/experiments.yaml` says what each experiment is
judged by, on which data, and what its paper reports. docs/results.md and the README's table hold no other number.
"""

import hashlib
import json
import re
import statistics
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from experiment.failures import EXIT_FINISHED, Refused, RunFailed
from experiment.run_directory import replacing
from experiment.runs.seeds import without_ignored
from experiment.runs.summaries import Summary, select_named

PROJECT = Path(__file__).resolve().parent.parent.parent
_BEGIN, _END = "<!-- results: written by runs.py results -->", "<!-- end of results -->"
# README.ko.md has the English table: what is written by hand in experiments.yaml is written once.
_DOCUMENTS = ("README.md", "README.ko.md", "docs/results.md")
# Of a record's packages, those that change numbers.
_TOLD_VERSIONS = ("python", "torch", "torchvision", "pytorch-lightning")

Result = dict[str, Any]


class Facts(NamedTuple):
    """What an experiment's entry in experiments.yaml says.

    Args:
        metric: what it is judged by, as logged.
        data: `full`, `sample` or `generated`, and of what.
        paper: the paper's number with its conditions; None where it has none for this setting.
        more: further metrics to show.
    """

    metric: str
    data: str
    paper: str | None = None
    more: tuple[str, ...] = ()


def answer(arguments: Namespace) -> int:
    """Add runs, and write the tables; with `--check` only say whether they are up to date."""
    if arguments.check:
        stale = [name for name in _DOCUMENTS if (PROJECT / name).read_text() != _document(PROJECT, name)]
        if stale:
            raise RunFailed(f"{', '.join(stale)}: a number is not that of results/; write them with: runs.py results")
        print("the tables are those of results/")
        return EXIT_FINISHED
    for run in select_named(arguments.add) if arguments.add else []:
        print(f"added {add(run, PROJECT).relative_to(PROJECT)}")
    for name in _DOCUMENTS:
        text = _document(PROJECT, name)
        with replacing(PROJECT / name) as stream:
            stream.write(text.encode())
    return EXIT_FINISHED


def add(run: Summary, project: Path) -> Path:
    """Keep a run's result.

    Raises:
        Refused: the run has not finished, or nothing is known of its experiment.
    """
    if run["status"] != "finished":
        raise Refused(f"{run['id']} is {run['status']}: only what was run to its end is a result")
    if run["experiment"] not in facts(project):
        raise Refused(f"results/experiments.yaml does not say what {run['experiment']} is judged by; add it there")
    config = (Path(run["dir"]) / "config.yaml").read_text()
    told = [word for word in run["overrides"] if not word.startswith(("logger=", "callbacks.progress_bar="))]
    named = any(word.startswith("experiment=") for word in told)
    result = {
        "id": run["id"],
        "experiment": run["experiment"],
        "command": " ".join(["python train.py", *([] if named else [f"experiment={run['experiment']}"]), *told]),
        "date": run["ended"][:10],
        "seed": run["seed"],
        "metrics": {name: value for name, value in run["metrics"].items() if name.startswith("test/")},
        "num_epochs": run["num_epochs"],
        "wall_time_s": run["wall_time_s"],
        "num_resumed": len(run["resumed"]),
        "hardware": run["hardware"],
        "versions": {name: run["versions"][name] for name in _TOLD_VERSIONS},
        "commit": run["git"]["sha"],
        "is_dirty": run["git"]["is_dirty"],
        "config_sha256": hashlib.sha256(without_ignored(config).encode()).hexdigest(),
        "data_fingerprint": run["data_fingerprint"],
    }
    file: Path = project / "results" / str(run["experiment"]) / f"{run['id']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as stream:
        stream.write((json.dumps(result, indent=1) + "\n").encode())
    return file


def facts(project: Path) -> dict[str, Facts]:
    """What experiments.yaml says, by experiment."""
    entries = yaml.safe_load((project / "results" / "experiments.yaml").read_text())
    return {name: Facts(**{**entry, "more": tuple(entry.get("more", ()))}) for name, entry in entries.items()}


def results(project: Path) -> dict[str, list[list[Result]]]:
    """By experiment the results of each of its configurations, which differ in their seeds alone."""
    groups: dict[str, dict[str, list[Result]]] = {}
    for file in sorted((project / "results").glob("*/*.json")):
        result = json.loads(file.read_text())
        groups.setdefault(result["experiment"], {}).setdefault(result["config_sha256"], []).append(result)
    return {name: list(groups[name].values()) for name in facts(project) if name in groups}


def short_table(project: Path) -> str:
    """The README's: a line a configuration."""
    kept = results(project)
    # A column of papers' numbers for these settings, once there is one.
    has_paper = any(facts(project)[name].paper for name in kept)
    lines = [
        f"| experiment | data | result |{' paper |' if has_paper else ''} time of a run |",
        "| --- " * (5 if has_paper else 4) + "|",
    ]
    for name, configurations in kept.items():
        known = facts(project)[name]
        paper = f" {known.paper or ''} |" if has_paper else ""
        for group in configurations:
            changes = _changes(group[0])
            lines.append(
                f"| `{name}`{f' `{changes}`' if changes else ''} | {known.data} |"
                f" {known.metric.removeprefix('test/')} {spread(group, known.metric)} |"
                f"{paper} {_times(group)} |"
            )
    return "\n".join(lines)


def long_table(project: Path) -> str:
    """The one of docs/results.md: a line a run."""
    lines = []
    for name, configurations in results(project).items():
        known = facts(project)[name]
        lines += [f"## {name}", "", f"{known.data}; judged by {known.metric}.", ""]
        if known.paper:
            lines += [f"The paper: {known.paper}", ""]
        metrics = [known.metric, *known.more]
        lines.append(f"| command | {' | '.join(metrics)} | epochs | time | hardware | torch | commit |")
        lines.append("| --- " * (len(metrics) + 6) + "|")
        for result in (result for group in configurations for result in group):
            values = " | ".join(f"{result['metrics'][metric]:.4f}" for metric in metrics)
            commit = result["commit"][:10] + (" with changes" if result["is_dirty"] else "")
            again = f", resumed {result['num_resumed']} x" if result["num_resumed"] else ""
            where = f"{hardware(result)} | {result['versions']['torch']} | {commit}"
            lines.append(
                f"| `{result['command']}` (seed {result['seed']}) | {values} | {result['num_epochs']} |"
                f" {result['wall_time_s']:.0f} s{again} | {where} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def spread(group: Sequence[Result], metric: str) -> str:
    """Mean and standard deviation over the seeds, or the one value."""
    values = [result["metrics"][metric] for result in group]
    if len(values) == 1:
        return f"{values[0]:.4f} (one seed)"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f} ({len(values)} seeds)"


def hardware(result: Result) -> str:
    """A machine in a few words."""
    state = result["hardware"]
    if state["gpus"]:
        return str(state["gpus"][0])
    return f"{_counted(state['cores'], 'core')}, {_counted(state['threads'], 'thread')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _changes(result: Result) -> str:
    words = result["command"].split()[2:]
    told = " ".join(word for word in words if not word.startswith(("experiment=", "seed=")))
    return re.sub(r"outputs/(\w+)/\S*", r"<a run of \1>", told)


def _times(group: Sequence[Result]) -> str:
    seconds = sorted(round(result["wall_time_s"]) for result in group)
    several = f"{seconds[0]} to {seconds[-1]}" if seconds[0] != seconds[-1] else f"{seconds[0]}"
    return f"{several} s on {hardware(group[0])}"


def _document(project: Path, name: str) -> str:
    """A document with its table as it ought to be."""
    text = (project / name).read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise Refused(f"{name} has no place for its table; it stands between {_BEGIN} and {_END}")
    table = long_table(project) if name == "docs/results.md" else short_table(project)
    return f"{before}{_BEGIN}\n{table}\n{_END}{after}"

"""What a run's directory says of it, as one flat-keyed dictionary; read from the ledger alone, without torch."""

import os
import re
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiment.failures import Refused
from experiment.run_directory import RunDirectory, find_run, list_runs
from experiment.runs.filters import Filter, parse_filter

Summary = dict[str, Any]
# Of an override that says where or how a run is watched, not what it computes.
_NOT_TOLD = ("experiment=", "seed=", "logger=", "tags=", "notes=", "callbacks.progress_bar=", "trainer=cpu", "resume=")


def outputs_dir() -> Path:
    """Where runs are, as conf/paths has it."""
    return Path(os.environ.get("FIRSTHAND_OUTPUTS", "outputs"))


def summary_of(run: RunDirectory) -> Summary:
    """The run's record, with its status as of now; the metrics of a run that has not ended are those logged last."""
    record = run.record()
    has_ended = record["status"] != "running"
    metrics = record["metrics"] if has_ended and record["metrics"] else run.last_metrics()
    # Asking for it reads the record again.
    status = record["status"] if has_ended else run.status()
    return {**record, "id": run.id, "dir": str(run.path), "status": status, "metrics": metrics}


def config_of(summary: Summary) -> dict[str, Any]:
    """The run's resolved configuration."""
    config: dict[str, Any] = _load_yaml(_config_text(summary))
    return config


def config_value(summary: Summary, key: str) -> Any:
    """The value of a dotted key of the run's resolved configuration, None without it.

    Reads that key's lines alone, as OmegaConf writes them: the whole of a thousand files takes 2 s.
    """
    block = _config_text(summary)
    for depth, part in enumerate(key.split(".")):
        indent = "  " * depth
        found = re.search(rf"^{indent}{re.escape(part)}:(.*(?:\n(?:{indent}  |{indent}- ).*)*)", block, re.MULTILINE)
        if found is None:
            return None
        block = found[1]
    return _load_yaml(textwrap.dedent(block) + "\n")


def _config_text(summary: Summary) -> str:
    return (Path(summary["dir"]) / "config.resolved.yaml").read_text()


def _load_yaml(text: str) -> Any:
    import yaml

    # The C loader is ten times as fast, and not part of every build.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration with dotted keys; lists are values."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            values |= flat(value, f"{name}.")
        else:
            values[name] = value
    return values


def compared_config(summary: Summary) -> dict[str, Any]:
    """The flat configuration without paths, and without pointers, which say again what stands elsewhere."""
    composed = flat(_load_yaml((Path(summary["dir"]) / "config.yaml").read_text()))
    pointers = {key for key, value in composed.items() if isinstance(value, str) and value.startswith("${")}
    # A pointer to a component stands for several keys.
    return {
        key: value
        for key, value in flat(config_of(summary)).items()
        if not key.startswith("paths.")
        and not any(key == pointer or key.startswith(f"{pointer}.") for pointer in pointers)
    }


def value_of(summary: Summary, key: str) -> Any:
    """What a run has under a name: of its record, a metric, or a key of its configuration; None without one."""
    if key == "tag":
        return summary["tags"]
    if key == "age":
        return age_s(summary)
    if key in summary["metrics"]:
        return summary["metrics"][key]
    if key in summary and key != "config":
        return summary[key]
    return None if "/" in key else config_value(summary, key)


def age_s(summary: Summary) -> float:
    """Seconds since the run's start."""
    return (datetime.now(UTC) - datetime.fromisoformat(summary["started"])).total_seconds()


def changes_of(summary: Summary) -> str:
    """What the run's command line asked for beyond its experiment, in short."""
    return " ".join(change for change in summary["overrides"] if not change.startswith(_NOT_TOLD))


def select(words: Sequence[str]) -> list[Summary]:
    """The runs that meet every condition, the oldest first; a word without an operator names an experiment.

    Raises:
        Refused: a word is no condition, or no experiment has that name.
    """
    conditions = [parse_filter(word) or Filter("experiment", "=", word) for word in words]
    # What is in the record costs nothing to look at, a configuration a millisecond.
    summaries = [summary_of(run) for run in list_runs(outputs_dir())]
    for condition in sorted(conditions, key=lambda condition: "." in condition.key):
        summaries = [summary for summary in summaries if condition.holds(value_of(summary, condition.key))]
    return summaries


def select_named(words: Sequence[str]) -> list[Summary]:
    """The runs that words name, in their order: conditions stand for all runs that meet them, others for one run.

    Raises:
        Refused: a word names no run, or none meets the conditions.
    """
    conditions = [word for word in words if parse_filter(word) is not None or _is_experiment(word)]
    named = [summary_of(find_run(word, outputs_dir())) for word in words if word not in conditions]
    if conditions:
        named += select(conditions)
    unique = {summary["dir"]: summary for summary in named}
    if not unique:
        raise Refused(f"no run meets {' and '.join(words)}; python runs.py ls shows all")
    return list(unique.values())


def _is_experiment(word: str) -> bool:
    return any((outputs_dir() / word).glob("*/run.json")) if word.isidentifier() else False


def short_names(summaries: Sequence[Summary]) -> list[str]:
    """A name for each run that fits into a legend: the end of its id, which is what differs between ids."""
    names = [re.sub(r"^\d{8}-\d{6}-", "", summary["id"]) for summary in summaries]
    return names if len(set(names)) == len(names) else [summary["id"] for summary in summaries]

"""Which run goes on, or lends its state to a new one, and with which configuration."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from experiment.failures import Refused
from experiment.run_directory import RUN_DIR_VARIABLE, RunDirectory, find_run, list_runs

# What may differ when a run goes on: how long it trains and what is said of it, not what it computes.
_MAY_CHANGE = ("trainer.max_epochs", "show_traceback", "notes", "tags")
# What belongs to a start of a run, not to the run.
_OF_THE_START = ("resume", "fork", "check")
# Groups after which nothing of another run's configuration would remain.
_WHOLE = ("experiment",)


class Source(NamedTuple):
    """A run whose state is taken, and the checkpoint that the user named, if it was one."""

    run: RunDirectory
    checkpoint: Path | None


def run_to_resume(reference: str, outputs_dir: Path, *, new_run: Path, overrides: Sequence[str]) -> Source | None:
    """The run that `resume=` means; None if `auto` finds nothing to go on with.

    Args:
        new_run: where a new run would go.

    Raises:
        Refused: there is no such run, or another process is at it.
    """
    # For the other processes of a run `last` might be another one by now.
    if inherited := os.environ.get(RUN_DIR_VARIABLE):
        return Source(RunDirectory(Path(inherited)), _checkpoint_in(reference))
    if reference == "auto":
        run = _unfinished(new_run, overrides)
        # Processes that this one will start are given the same command line.
        sys.argv[1:] = ["resume.run=" + (str(run.path) if run else "null") if _is_auto(a) else a for a in sys.argv[1:]]
        source = Source(run, None) if run else None
    else:
        source = Source(find_run(reference, outputs_dir), _checkpoint_in(reference))
    # Of the processes that a launcher starts, the first holds the lock for all.
    if source is not None and os.environ.get("RANK", "0") == "0":
        source.run.lock()
    return source


def source_of_fork(reference: str, outputs_dir: Path) -> Source:
    """The run that `fork=` means.

    Raises:
        Refused: there is no such run.
    """
    return Source(find_run(reference, outputs_dir), _checkpoint_in(reference))


def config_of_resumed(run: RunDirectory, composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The run's own configuration, with what the command line may change of it.

    Args:
        composed: the command line's configuration.

    Raises:
        Refused: the command line would change more; with the differences.
    """
    allowed = (*_MAY_CHANGE, *composed.resume.allow_changes)
    config = run.config()
    before: Any = OmegaConf.to_container(config, resolve=False)
    record = run.record()
    # Groups that the run began with may be named again; single values are compared below.
    known = {f"experiment={record['experiment']}", *(each for each in record["overrides"] if _is_group(each, composed))}
    changed = apply_overrides(config, composed, [override for override in overrides if override not in known])
    after: Any = OmegaConf.to_container(config, resolve=False)
    refused = [key for key in changed if not any(key == name or key.startswith(f"{name}.") for name in allowed)]
    differences = [
        line
        for key in refused
        if (old := _at(before, key)) != (new := _at(after, key))
        for line in (f"  - {key}: {old}", f"  + {key}: {new}")
    ]
    if differences:
        names = ",".join(key for key in refused if _at(before, key) != _at(after, key))
        raise Refused(
            "\n".join(
                [
                    f"the command line would change run {run.id}:",
                    *differences,
                    f"leave that out to continue the run, allow it with 'resume.allow_changes=[{names}]',"
                    f" or start a new run from its state with fork={run.id}",
                ]
            )
        )
    return config


def config_of_fork(run: RunDirectory, composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The other run's configuration as the command line changes it; the command line's if it names an experiment."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(override.key_or_group in _WHOLE for override in parsed):
        return composed
    config = run.config()
    apply_overrides(config, composed, overrides)
    return config


def apply_overrides(config: DictConfig, composed: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Give a configuration the values that a command line has for what it names; the keys.

    Args:
        composed: the command line's configuration, in which a group has its content.
    """
    OmegaConf.set_struct(config, False)
    keys = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = _key(override)
        if key.split(".")[0] in _OF_THE_START:
            continue
        if key.split(".")[0] not in composed:
            # A group whose files write all over the configuration.
            raise Refused(f"{override.input_line} cannot change another run's configuration; name the keys it sets")
        # With its pointers, not with what they lead to.
        value = OmegaConf.to_container(OmegaConf.masked_copy(composed, key.split(".")[0]), resolve=False)
        OmegaConf.update(config, key, _at(value, key), merge=False)
        keys.append(key)
    return keys


def _is_group(override: str, composed: DictConfig) -> bool:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    key = _key(parsed)
    return key not in composed or isinstance(composed[key], DictConfig)


def _key(override: Override) -> str:
    return override.key_or_group.removeprefix("/").split("@")[0].replace("/", ".")


def _at(container: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(container, dict) or part not in container:
            return None
        container = container[part]
    return container


def _checkpoint_in(reference: str) -> Path | None:
    path = Path(reference)
    return path.resolve() if path.suffix == ".ckpt" else None


def _is_auto(argument: str) -> bool:
    return argument.split("=")[-1] == "auto" and argument.split("=")[0] in ("resume", "resume.run")


def _unfinished(new_run: Path, overrides: Sequence[str]) -> RunDirectory | None:
    """The newest run of this experiment and command line, unless it is finished; first a run of that very name."""
    if RunDirectory(new_run).is_started:
        return RunDirectory(new_run)
    for run in reversed([run for run in list_runs(new_run.parent.parent) if run.path.parent == new_run.parent]):
        record = run.record()
        if _identity(record["overrides"]) == _identity(overrides):
            return None if record["status"] == "finished" else run
    return None


def _identity(overrides: Sequence[str]) -> list[str]:
    """The command line without what may change when a run goes on."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    keys = [(_key(override), str(override.input_line)) for override in parsed]
    return sorted(line for key, line in keys if key.split(".")[0] not in _OF_THE_START and key not in _MAY_CHANGE)

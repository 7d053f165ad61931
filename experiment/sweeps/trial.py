"""One trial, in its own process: the single run that its command line stands for, and what came of it."""

import importlib
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from experiment import pruning
from experiment.entry import run_command
from experiment.failures import Refused, RunInterrupted, RunPruned, in_one_line
from experiment.preflight import check_run
from experiment.run_directory import TRIAL_DIR_VARIABLE, RunDirectory
from experiment.sweeps.fork_server import TrialMain, TrialRequest
from experiment.sweeps.trial_records import Outcome


def single_run(task: Callable[[DictConfig], Any], *, config_name: str) -> TrialMain:
    """What a trial's process does: compose its command line anew, run the task on it, and send what came of it.

    The whole command line is composed again, as a shell would have it: so Lightning's other processes, which start with
    this one's command line, compose the same.
    """

    def main(_: TrialRequest, connection: Connection) -> None:
        GlobalHydra.instance().clear()
        pruning.ask_sweep = ask_through(connection)

        @wraps(task)
        def reporting(config: DictConfig) -> Any:
            try:
                objective = task(config)
            except BaseException as error:
                connection.send(outcome_of(error))
                raise
            connection.send(Outcome("finished", objective, metrics=_metrics(), error=None))
            return objective

        run_command(reporting, config_name=config_name)

    return main


def import_once(settings: dict[str, Any]) -> None:
    """Import what all trials need; in the server that forks itself for them."""
    importlib.import_module("experiment.training")
    # What the preflight reads of torch's sources is kept for the trials; whatever it finds is theirs to tell.
    with suppress(Exception):
        check_run(OmegaConf.create({key: value for key, value in settings.items() if key != "hydra"}))
    for target in _targets(settings):
        if target.split(".")[0] in ("lightning_modules", "datamodules"):
            # A mistake in it is met by the trials too, which tell it.
            with suppress(Exception):
                importlib.import_module(target.rpartition(".")[0])


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def ask_through(connection: Connection) -> Callable[[int, float], bool]:
    """The question whether the trial is to be pruned, put to the sweep through its connection."""

    def ask(epoch: int, value: float) -> bool:
        connection.send((epoch, value))
        is_pruned: bool = connection.recv()
        return is_pruned

    return ask


def outcome_of(error: BaseException) -> Outcome:
    """What an error that ended a trial means for the sweep."""
    causes = [error]
    # An error that is raised again `from` itself is its own cause.
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    text = "".join(traceback.format_exception(error))
    if isinstance(error, RunPruned):
        return Outcome("pruned", error.value, metrics=_metrics(), error=None)
    if isinstance(error, RunInterrupted | KeyboardInterrupt):
        return Outcome("interrupted", None, metrics={}, error=in_one_line(error))
    if any(isinstance(cause, MemoryError) or "out of memory" in str(cause).lower() for cause in causes):
        return Outcome("out of memory", None, metrics={}, error=in_one_line(error), traceback=text)
    if isinstance(error, Refused):
        return Outcome("refused", None, metrics={}, error=in_one_line(error))
    message = f"sys.exit({error.code})" if isinstance(error, SystemExit) else in_one_line(error)
    return Outcome("failed", None, metrics={}, error=message, traceback=text)


def _metrics() -> dict[str, float]:
    run = RunDirectory(Path(os.environ[TRIAL_DIR_VARIABLE]))
    metrics: dict[str, float] = run.record()["metrics"] if run.is_started else {}
    return metrics

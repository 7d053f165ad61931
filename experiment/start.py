"""From a composed configuration to a request to run: everything that needs no torch."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.preflight import Origin, refuse_problems, resolved_command
from experiment.run_directory import RUN_DIR_VARIABLE, RunDirectory, find_run, new_run_id, status_in

# Names a run from outside: the same for all processes that a launcher (torchrun, SLURM) starts.
RUN_ID_VARIABLE = "FIRSTHAND_RUN_ID"
# What may differ when a run goes on: how long it trains and what watches it, not what it computes.
_MAY_CHANGE_ON_RESUME = ("trainer.max_epochs", "trainer.max_time", "show_traceback", "resume", "check", "notes", "tags")


class RunRequest(NamedTuple):
    """What is to be run: the configuration as composed and as plain values, and the run's directory."""

    config: DictConfig
    settings: dict[str, Any]
    run: RunDirectory
    experiment: str
    overrides: list[str]
    is_resumed: bool


def prepare(config: DictConfig) -> RunRequest | None:
    """A request that passed the preflight; None if only that was asked for.

    Raises:
        Refused: something is wrong with the configuration, or there is no run to resume.
    """
    hydra_config = HydraConfig.get()
    choices = dict(hydra_config.runtime.choices)
    # Unresolved: an override may hold a pointer, which has its meaning in the configuration only.
    overrides: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    OmegaConf.set_struct(config, False)
    is_resumed = config.resume is not None
    if is_resumed:
        run = _run_to_resume(str(config.resume), Path(config.paths.outputs_dir))
        config = _config_of_resumed(run, overrides)
    else:
        run = RunDirectory(_new_directory(config, choices.get("experiment") or choices["model"]))
    config.paths.run_dir = str(run.path)
    settings = refuse_problems(config, Origin(CONF_DIR, choices, overrides))
    if is_resumed:
        _refuse_if_nothing_is_left(run, settings["trainer"]["max_epochs"])
    is_multirun = hydra_config.mode is RunMode.MULTIRUN
    if is_multirun and _num_processes(settings["trainer"]) != 1:
        raise Refused(
            "-m with a trainer of several processes is not supported: Lightning's other processes would each run the"
            " whole sweep again; sweep with trainer=cpu or trainer=gpu, or start the runs one by one"
        )
    experiment = run.record()["experiment"] if is_resumed else run.path.parent.name
    if not 0 <= settings["seed"] < 2**32:
        raise Refused(f"seed={settings['seed']}: a seed is a whole number from 0 to {2**32 - 1}; choose one")
    if settings["check"]:
        print(f"{experiment}: nothing wrong found")
        return None
    return RunRequest(config, settings, run, experiment, overrides, is_resumed=is_resumed)


def prepare_command(config: DictConfig, fields: str) -> tuple[dict[str, Any], RunDirectory]:
    """The request of a command about a run, and that run.

    Args:
        fields: the class of `experiment.settings` that has the command's keys.

    Raises:
        Refused: something is wrong with the keys, or there is no such run.
    """
    request = resolved_command(config, fields)
    return request, find_run(str(request["run"]), Path(request["outputs_dir"]))


def _run_to_resume(reference: str, outputs_dir: Path) -> RunDirectory:
    # For the other processes of a run `last` might be another one by now.
    if inherited := os.environ.get(RUN_DIR_VARIABLE):
        return RunDirectory(Path(inherited))
    run = find_run(reference, outputs_dir)
    record = run.record()
    if status_in(record) == "running":
        raise Refused(f"run {run.id} is still running, as process {record['pid']} on {record['host']}; wait for it")
    return run


def _refuse_if_nothing_is_left(run: RunDirectory, max_epochs: int | None) -> None:
    record = run.record()
    if record["status"] == "finished" and max_epochs is not None and record["num_epochs"] >= max_epochs > 0:
        raise Refused(
            f"run {run.id} is finished, at epoch {record['num_epochs']} of {max_epochs};"
            f" to train it longer add trainer.max_epochs={record['num_epochs'] + 10}"
        )


def _new_directory(config: DictConfig, experiment: str) -> Path:
    if inherited := os.environ.get(RUN_DIR_VARIABLE):
        return Path(inherited)
    run_id = os.environ.get(RUN_ID_VARIABLE)
    if run_id is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Refused(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}: the processes were started from outside and need to know that they"
            f" are one run; set {RUN_ID_VARIABLE} to the same new name for all of them"
        )
    return Path(config.paths.outputs_dir).absolute() / experiment / (run_id or new_run_id())


def _config_of_resumed(run: RunDirectory, overrides: list[str]) -> DictConfig:
    """The run's own configuration, with what the command line may change of it."""
    config = run.config()
    recorded = run.record()["overrides"]
    for override in OverridesParser.create().parse_overrides(overrides):
        key, value = override.key_or_group, override.value()
        if key not in _MAY_CHANGE_ON_RESUME and override.input_line not in recorded:
            old = OmegaConf.select(config, key)
            raise Refused(
                f"{key}={value} would change run {run.id}, which has {key}={old}; leave it out to continue that run,"
                f" or start a new run without resume= (what may change: {', '.join(_MAY_CHANGE_ON_RESUME[:2])})"
            )
        if key in _MAY_CHANGE_ON_RESUME:
            OmegaConf.update(config, key, value)
    return config


def _num_processes(trainer: dict[str, Any]) -> int | None:
    """How many processes a trainer's settings ask for; None if that depends on the machine."""
    devices = trainer["devices"]
    count = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else None
    return None if count is None else count * int(trainer["num_nodes"])

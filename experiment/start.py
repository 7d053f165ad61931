"""From a composed configuration to a request to run: everything that needs no torch."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from experiment.continuing import Source, config_of_fork, config_of_resumed, run_to_resume, source_of_fork
from experiment.data_facts import write_down_facts_
from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.preflight import Origin, refuse_problems, resolved_command
from experiment.run_directory import RUN_DIR_VARIABLE, TRIAL_DIR_VARIABLE, RunDirectory, find_run, new_run_id

# Names a run from outside: the same for all processes that a launcher (torchrun, SLURM) starts.
RUN_ID_VARIABLE = "FIRSTHAND_RUN_ID"


class RunRequest(NamedTuple):
    """What is to be run: the configuration as composed and as plain values, the run's directory, where it starts."""

    config: DictConfig
    settings: dict[str, Any]
    run: RunDirectory
    experiment: str
    overrides: list[str]
    is_resumed: bool
    # The run, this one or another, from whose state it starts.
    source: Source | None = None


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
    _refuse_settings_of_sweeps(overrides)
    experiment = choices.get("experiment") or choices["model"]
    new_run = RunDirectory(_new_directory(config, experiment))
    request = _request(config, new_run, overrides, experiment=experiment)
    request.config.paths.run_dir = str(request.run.path)
    settings = refuse_problems(request.config, Origin(CONF_DIR, choices, overrides))
    write_down_facts_(request.config, settings)
    if request.is_resumed:
        _refuse_if_nothing_is_left(request.run, settings["trainer"])
    if not 0 <= settings["seed"] < 2**32:
        raise Refused(f"seed={settings['seed']}: a seed is a whole number from 0 to {2**32 - 1}; choose one")
    if settings["check"]:
        print(f"{request.experiment}: nothing wrong found")
        return None
    return request._replace(settings=settings)


def _request(config: DictConfig, new_run: RunDirectory, overrides: list[str], *, experiment: str) -> RunRequest:
    """A new run, one that goes on, or a new one from another's state; the configuration is not looked at yet."""
    outputs_dir = Path(config.paths.outputs_dir)
    if config.resume.run is not None and config.fork.run is not None:
        raise Refused("resume= continues a run and fork= starts a new one from it; give one of them")
    if config.resume.run is not None:
        reference = str(config.resume.run)
        source = run_to_resume(reference, outputs_dir, new_run=new_run.path, overrides=overrides)
        if source is not None:
            resumed = config_of_resumed(source.run, config, overrides)
            experiment = source.run.record()["experiment"]
            return RunRequest(resumed, {}, source.run, experiment, overrides, is_resumed=True, source=source)
    if config.fork.run is not None:
        source = source_of_fork(str(config.fork.run), outputs_dir)
        forked = config_of_fork(source.run, config, overrides)
        forked.fork = config.fork
        if forked is not config:
            experiment = source.run.record()["experiment"]
            if not {RUN_DIR_VARIABLE, TRIAL_DIR_VARIABLE} & os.environ.keys():
                new_run = RunDirectory(new_run.path.parent.parent / experiment / new_run.id)
        return RunRequest(forked, {}, new_run, experiment, overrides, is_resumed=False, source=source)
    return RunRequest(config, {}, new_run, experiment, overrides, is_resumed=False)


def prepare_prediction(config: DictConfig) -> tuple[dict[str, Any], RunDirectory | None]:
    """The request to predict, and the run to predict with; None where a network of conf/pretrained does.

    Raises:
        Refused: something is wrong with the keys, there is no such run, or not just one of the two is named.
    """
    request = resolved_command(config, "Prediction")
    if (request["run"] is None) == (request.get("model") is None):
        raise Refused("predict with a run or with a pretrained network; give one of run=last and pretrained=imagenet")
    run = find_run(str(request["run"]), Path(request["outputs_dir"])) if request["run"] is not None else None
    return request, run


def prepare_command(config: DictConfig, fields: str) -> tuple[dict[str, Any], RunDirectory]:
    """The request of a command about a run, and that run.

    Args:
        fields: the class of `experiment.settings` that has the command's keys.

    Raises:
        Refused: something is wrong with the keys, or there is no such run.
    """
    request = resolved_command(config, fields)
    return request, find_run(str(request["run"]), Path(request["outputs_dir"]))


def _refuse_if_nothing_is_left(run: RunDirectory, trainer: dict[str, Any]) -> None:
    record, before = run.record(), run.config().trainer
    is_longer = any(trainer[name] != before[name] for name in ("max_epochs", "max_steps", "max_time"))
    if record["status"] == "finished" and not is_longer:
        longer = (before.max_epochs or record["num_epochs"]) + 10
        raise Refused(
            f"run {run.id} is finished, at epoch {record['num_epochs']} of {before.max_epochs};"
            f" to train it longer add trainer.max_epochs={longer}"
        )


def _new_directory(config: DictConfig, experiment: str) -> Path:
    if inherited := os.environ.get(RUN_DIR_VARIABLE):
        return Path(inherited)
    if trial := os.environ.get(TRIAL_DIR_VARIABLE):
        return Path(trial)
    run_id = os.environ.get(RUN_ID_VARIABLE)
    if run_id is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Refused(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}: the processes were started from outside and need to know that they"
            f" are one run; set {RUN_ID_VARIABLE} to the same new name for all of them"
        )
    outputs_dir = Path(config.paths.outputs_dir).absolute()
    return outputs_dir / experiment / (run_id or new_run_id(outputs_dir))


def _refuse_settings_of_sweeps(overrides: list[str]) -> None:
    for override in overrides:
        key = override.lstrip("+~").split("=", 1)[0]
        if key in ("sweep", "n_trials") or key.startswith("sweep."):
            raise Refused(f"{override} is about a sweep; add -m")

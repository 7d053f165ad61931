"""What is known to be wrong with a configuration before torch is imported: names, types, parts that do not fit."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import experiment.data_facts  # noqa: F401 - so that a configuration can ask the data
from experiment.component_checks import Problem, check_component_tree, check_fields, check_sweep_options
from experiment.failures import Refused
from experiment.locations import KeyPath, dotted_items, place_of
from experiment.pairing import check_pairing

# Groups that are one component each; in the other two the user names the entries.
_COMPONENTS = ("model", "data", "trainer", "optim", "scheduler")
_NAMED_COMPONENTS = ("callbacks", "logger")


class Origin(NamedTuple):
    """Where a configuration came from, to point at the place of a mistake."""

    conf_dir: Path
    choices: dict[str, str]
    overrides: Sequence[str]

    def place(self, key: KeyPath) -> str:
        return place_of(key, conf_dir=self.conf_dir, choices=self.choices, overrides=self.overrides)


def refuse_problems(config: DictConfig, origin: Origin) -> dict[str, Any]:
    """A run's configuration as plain values, if nothing is wrong with it.

    Raises:
        Refused: one line for each problem, with its place.
    """
    settings, problems = check_run(config)
    if problems:
        raise Refused("\n".join(f"{origin.place(problem.key)}: {problem.message}" for problem in problems))
    return settings


def resolved_command(config: DictConfig, fields: str) -> dict[str, Any]:
    """The configuration of a command other than train, if its keys are those of the class of `experiment.settings`.

    Raises:
        Refused: one line for each problem.
    """
    settings, problems = _resolve(config)
    problems = problems or check_fields(settings, fields, key=())
    for group in ("model", "data", "optim"):
        if not problems and settings.get(group) is not None:
            problems += check_component_tree(settings[group], OmegaConf.to_container(config[group]), key=(group,))
    if problems:
        raise Refused("\n".join(problem.message for problem in problems))
    return settings


def check_run(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """The resolved configuration of a run as plain values, and all that is wrong with it."""
    settings, problems = _resolve(config)
    problems = problems or check_fields(settings, "Settings", key=(), names=[key for key, _ in dotted_items(settings)])
    if not problems:
        for key, fields in (("paths", "Paths"), ("resume", "Resume"), ("fork", "Fork")):
            problems += check_fields(settings[key], fields, key=(key,))
        problems += check_sweep_options(settings["sweep"])
        problems += _check_devices(settings["trainer"].get("devices"))
        problems += _check_groups(settings, OmegaConf.to_container(config, resolve=False))
    if not problems:
        problems += check_pairing(settings["model"], settings["data"])
        problems += _check_engine(settings)
        problems += _check_writable(settings["paths"]["outputs_dir"])
    return settings, problems


def _check_devices(devices: object) -> list[Problem]:
    """Lightning's annotation allows any text."""
    if not isinstance(devices, str) or re.fullmatch(r"auto|-?\d+(,\d+)*", devices):
        return []
    message = f"trainer.devices={devices!r} does not fit; it takes a number, auto, or ids such as 0,1"
    return [Problem(("trainer", "devices"), message)]


def _resolve(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    try:
        unresolved = OmegaConf.to_container(config, resolve=False)
        if missing := [key for key, value in dotted_items(unresolved) if value == "???"]:
            return {}, [Problem(tuple(key.split(".")), f"{key} must be given; add {key}=<value>") for key in missing]
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        key, reason = str(error.full_key or ""), str(error).splitlines()[0]
        # What one of our own readers of data says, without OmegaConf's introduction.
        reason = re.sub(r"^ValueError raised while resolving interpolation: ", "", reason)
        return {}, [Problem(tuple(key.split(".")), f"{key} does not resolve: {reason}")]
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}, []


def _check_groups(settings: dict[str, Any], unresolved: Any) -> list[Problem]:
    problems: list[Problem] = []
    for group in _COMPONENTS:
        if settings[group] is not None and "_target_" not in settings[group]:
            message = f"{group} needs a _target_, the class it is; choose one with {group}=<option>"
            problems.append(Problem((group,), message))
        options = "ModelOptions" if group == "model" else None
        problems += check_component_tree(settings[group], unresolved[group], key=(group,), options=options)
    for group in _NAMED_COMPONENTS:
        for name, entry in (settings[group] or {}).items():
            if entry is not None and not (isinstance(entry, dict) and "_target_" in entry):
                problems.append(Problem((group, name), f"{group}.{name} needs a _target_, the class it is"))
            problems += check_component_tree(entry, unresolved[group][name], key=(group, name))
    return problems


def _check_engine(settings: dict[str, Any]) -> list[Problem]:
    """That nothing else wants to have the network's calculation for itself."""
    if settings["model"].get("engine") != "scratch":
        return []
    problems = []
    if settings["compile"]:
        message = "compile=true compiles for torch's own differentiation; leave it out with model.engine=scratch"
        problems.append(Problem(("compile",), message))
    if settings["trainer"].get("sync_batchnorm"):
        message = (
            "trainer.sync_batchnorm=true puts torch's own differentiation into the network; with model.engine=scratch"
            " set it to false"
        )
        problems.append(Problem(("trainer", "sync_batchnorm"), message))
    strategy = settings["trainer"].get("strategy", "auto")
    name = strategy if isinstance(strategy, str) else str(strategy.get("_target_"))
    if any(word in name.lower() for word in ("fsdp", "deepspeed", "modelparallel")):
        message = (
            f"trainer.strategy={name} gathers the parameters for torch's own differentiation, piece by piece; with"
            " model.engine=scratch take trainer=ddp or one device"
        )
        problems.append(Problem(("trainer", "strategy"), message))
    return problems


def _check_writable(outputs_dir: str) -> list[Problem]:
    """That runs can be written; the folder itself may not exist yet."""
    path = Path(outputs_dir).absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return []
    what = "cannot be written to" if existing.is_dir() else "is not a folder"
    message = f"{existing} {what}, so no run can go to {outputs_dir}; set FIRSTHAND_OUTPUTS to another folder"
    return [Problem(("paths", "outputs_dir"), message)]

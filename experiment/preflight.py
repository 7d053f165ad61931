"""What is known to be wrong with a configuration before torch is imported: names, types, parts that do not fit."""

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiment.annotations import fits, readable
from experiment.failures import Refused
from experiment.locations import KeyPath, did_you_mean, place_of
from experiment.signatures import ClassSource, Signature, ancestors, fields_of, find_class, method_of, signature_of
from experiment.targets import RESERVED, allowed_class

# Groups whose entries are named by the user, each a class or null.
_NAMED_ENTRIES = ("callbacks", "logger")


class Origin(NamedTuple):
    """Where a configuration came from, to point at the place of a mistake."""

    conf_dir: Path
    choices: dict[str, str]
    overrides: Sequence[str]

    def place(self, key: KeyPath) -> str:
        return place_of(key, conf_dir=self.conf_dir, choices=self.choices, overrides=self.overrides)


class Problem(NamedTuple):
    """One mistake: the key it is about, and what came, what was expected, what to do."""

    key: KeyPath
    message: str


def refuse_problems(config: DictConfig, origin: Origin) -> dict[str, Any]:
    """The configuration as plain values, if nothing is wrong with it.

    Raises:
        Refused: one line for each problem, with its place.
    """
    problems, plain = check(config)
    if problems:
        lines = [f"{origin.place(problem.key)}: {problem.message}" for problem in problems]
        raise Refused("\n".join(lines))
    return plain


def check(config: DictConfig) -> tuple[list[Problem], dict[str, Any]]:
    """All problems, and the resolved configuration as plain values (empty if it does not resolve)."""
    if missing := OmegaConf.missing_keys(config):
        return [
            Problem(tuple(key.split(".")), f"{key} must be given; add {key}=<value>") for key in sorted(missing)
        ], {}
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        return [Problem(tuple(key.split(".")), f"{key}: {str(error).splitlines()[0]}")], {}
    assert isinstance(plain, dict)
    settings: dict[str, Any] = {str(key): value for key, value in plain.items()}
    problems = _check_keys(
        settings, fields_of(_settings_class("Settings")), key=(), filled_in=frozenset(), names=_paths(settings)
    )
    if not problems:
        problems += _check_keys(
            settings["paths"], fields_of(_settings_class("Paths")), key=("paths",), filled_in=frozenset()
        )
        problems += _check_components(settings)
    if not problems:
        problems += _check_agreement(settings["model"], settings["data"])
        problems += _check_writable(settings["paths"]["outputs_dir"])
    return problems, settings


def _settings_class(name: str) -> ClassSource:
    source = find_class(f"experiment.settings.{name}")
    assert source is not None
    return source


def _check_components(settings: dict[str, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for name, value in settings.items():
        if name == "paths":
            continue
        if name in _NAMED_ENTRIES:
            for entry, component in (value or {}).items():
                if component is not None and not (isinstance(component, dict) and "_target_" in component):
                    problems.append(
                        Problem(
                            (name, entry),
                            f"{name}.{entry} needs a _target_, the class it is{did_you_mean(entry, value)}",
                        )
                    )
        elif (
            name in ("model", "data", "trainer", "optim", "scheduler") and value is not None and "_target_" not in value
        ):
            problems.append(
                Problem((name,), f"{name} needs a _target_, the class it is; choose one with {name}=<option>")
            )
        problems += _check_tree(value, key=(name,))
    return problems


def _check_tree(node: object, *, key: KeyPath) -> list[Problem]:
    """Every component in a part of the configuration: allowed, with keys that its constructor takes."""
    problems: list[Problem] = []
    if isinstance(node, list):
        for index, value in enumerate(node):
            problems += _check_tree(value, key=(*key, str(index)))
    if not isinstance(node, dict):
        return problems
    for reserved in RESERVED:
        if reserved in node:
            problems.append(
                Problem((*key, reserved), f"{'.'.join(key)}.{reserved} is not allowed; give every argument by its name")
            )
    if "_target_" in node:
        try:
            allowed = allowed_class(node["_target_"])
        except Refused as refusal:
            return [*problems, Problem((*key, "_target_"), f"{'.'.join(key)}: {refusal}")]
        arguments = {name: value for name, value in node.items() if name != "_target_" and name not in RESERVED}
        problems += _check_keys(arguments, signature_of(allowed.source), key=key, filled_in=allowed.filled_in)
    for name, value in node.items():
        problems += _check_tree(value, key=(*key, str(name)))
    return problems


def _check_keys(
    values: dict[str, Any],
    signature: Signature,
    *,
    key: KeyPath,
    filled_in: frozenset[str],
    names: Sequence[str] = (),
) -> list[Problem]:
    """That values bind to parameters: none unknown, none missing, each of the right type."""
    problems: list[Problem] = []
    prefix = "".join(f"{part}." for part in key)
    for name, value in values.items():
        parameter = signature.parameters.get(name)
        if parameter is None:
            if not signature.is_open:
                candidates = [prefix + known for known in signature.parameters] + list(names)
                problems.append(
                    Problem((*key, name), f"{prefix}{name} is unknown{did_you_mean(prefix + name, candidates)}")
                )
        elif not fits(value, parameter.annotation, parameter.scope):
            expected = readable(parameter.annotation)
            problems.append(
                Problem((*key, name), f"{prefix}{name}={value!r} is not of the type it should be: {expected}")
            )
    missing = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.is_required and parameter.name not in values and parameter.name not in filled_in
    ]
    return problems + [Problem(key, f"{prefix}{name} is missing; add {prefix}{name}=<value>") for name in missing]


def _paths(node: dict[str, Any], prefix: str = "") -> list[str]:
    """Every key of the configuration, dotted."""
    paths: list[str] = []
    for name, value in node.items():
        paths.append(prefix + name)
        if isinstance(value, dict):
            paths += _paths(value, f"{prefix}{name}.")
    return paths


def _check_agreement(model: dict[str, Any], data: dict[str, Any]) -> list[Problem]:
    """That the model takes the data's kind of batch, and that facts which both state are the same."""
    problems = []
    model_name, data_name = str(model["_target_"]), str(data["_target_"])
    taken, given = _batch_taken(model_name), _batch_given(data_name)
    if taken is None:
        problems.append(
            Problem(("model", "_target_"), f"model: {model_name} is not a model: it has no _step that takes a batch")
        )
    if given is None:
        message = f"data: {data_name} is not a data module: it has no train_dataloader that says what it loads"
        problems.append(Problem(("data", "_target_"), message))
    if taken is not None and given is not None and taken != given:
        message = (
            f"model={model_name} takes batches of type {taken}, but data={data_name} gives {given};"
            " choose a model and data of the same kind"
        )
        problems.append(Problem(("model", "_target_"), message))
    for name in sorted(model.keys() & data.keys() - {"_target_"}):
        if model[name] != data[name]:
            message = (
                f"model.{name}={model[name]!r} but data.{name}={data[name]!r}; leave model.{name} to follow the data"
            )
            problems.append(Problem(("model", name), message))
    return problems


def _batch_taken(model: str) -> str | None:
    """The type of `batch` in a model's `_step`."""
    for source in _ancestors_of(model):
        step = method_of(source, "_step")
        for argument in step.args.args if step is not None else []:
            if argument.arg == "batch" and argument.annotation is not None:
                return ast.unparse(argument.annotation)
    return None


def _batch_given(data: str) -> str | None:
    """The `Batch` in a data module's `train_dataloader() -> DataLoader[Batch]`."""
    for source in _ancestors_of(data):
        loader = method_of(source, "train_dataloader")
        if loader is not None and isinstance(loader.returns, ast.Subscript):
            return ast.unparse(loader.returns.slice)
    return None


def _ancestors_of(target: str) -> list[ClassSource]:
    source = find_class(target)
    return [] if source is None else ancestors(source)


def _check_writable(outputs_dir: str) -> list[Problem]:
    """That runs can be written; the folder itself may not exist yet."""
    path = Path(outputs_dir).absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = "is not a folder" if not existing.is_dir() else "cannot be written to"
        message = (
            f"outputs_dir={outputs_dir}: {existing} {what}; set FIRSTHAND_OUTPUTS to a folder that can be written to"
        )
        return [Problem(("paths", "outputs_dir"), message)]
    return []

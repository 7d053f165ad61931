"""That every component of a configuration is a class it may name, with keys and types that its constructor takes."""

import ast
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiment.annotations import expectation, fits
from experiment.failures import Refused
from experiment.locations import KeyPath, did_you_mean_key
from experiment.signatures import Parameter, Signature, fields_of, find_class, signature_of
from experiment.targets import RESERVED, allowed_class

# The dataclasses of `experiment.settings` for them.
_SWEEP_METHODS = {"grid": "GridSweep", "optuna": "OptunaSweep"}
_WORKER_KINDS = {"none": "NoWorkers", "submitit": "SubmititWorkers", "ray": "RayWorkers"}


class Problem(NamedTuple):
    """One mistake: the key it is about, and what came, what was expected, what to do."""

    key: KeyPath
    message: str


def check_fields(values: dict[str, Any], fields: str, *, key: KeyPath, names: Sequence[str] = ()) -> list[Problem]:
    """That values are those of a dataclass in `experiment.settings`.

    Args:
        names: further keys to take suggestions from.
    """
    return _check_keys(values, _fields(fields), key=key, filled_in=frozenset(), names=names)


def _fields(name: str) -> Signature:
    source = find_class(f"experiment.settings.{name}")
    assert source is not None
    return fields_of(source)


def check_sweep_options(options: dict[str, Any]) -> list[Problem]:
    """That `sweep` is what conf/sweep offers."""
    fields = _SWEEP_METHODS.get(str(options.get("method")))
    if fields is None:
        message = f"sweep.method={options.get('method')} is unknown; choose one with sweep=grid or sweep=optuna"
        return [Problem(("sweep", "method"), message)]
    problems = check_fields(options, fields, key=("sweep",))
    if problems:
        return problems
    workers = options["workers"]
    of_workers = _WORKER_KINDS.get(str(workers.get("kind")))
    if of_workers is None:
        message = (
            f"sweep.workers.kind={workers.get('kind')} is unknown; choose sweep/workers=slurm or sweep/workers=ray"
        )
        return [Problem(("sweep", "workers", "kind"), message)]
    return check_fields(workers, of_workers, key=("sweep", "workers"))


def check_component_tree(
    node: object, unresolved: object, *, key: KeyPath, options: str | None = None
) -> list[Problem]:
    """All components in a part of the configuration, at any depth.

    Args:
        unresolved: the same part before its pointers were followed; what a pointer leads to is checked where it stands.
        options: a dataclass in `experiment.settings` of what the outermost component takes beside its constructor's.
    """
    if isinstance(unresolved, str):
        return []
    problems: list[Problem] = []
    if isinstance(node, list) and isinstance(unresolved, list):
        for index, value in enumerate(node):
            problems += check_component_tree(value, unresolved[index], key=(*key, str(index)))
    if not (isinstance(node, dict) and isinstance(unresolved, dict)):
        return problems
    name = ".".join(key)
    for reserved in RESERVED:
        if reserved in node:
            message = f"{name}.{reserved} is not allowed; give every argument by its name"
            problems.append(Problem((*key, reserved), message))
    if "_target_" in node:
        try:
            allowed = allowed_class(node["_target_"])
        except Refused as refusal:
            return [*problems, Problem((*key, "_target_"), f"{name}: {refusal}")]
        arguments = {name: value for name, value in node.items() if name not in ("_target_", *RESERVED)}
        signature = _with_options(signature_of(allowed.source), options)
        problems += _check_keys(arguments, signature, key=key, filled_in=allowed.filled_in)
    for child, value in node.items():
        problems += check_component_tree(value, unresolved[child], key=(*key, str(child)))
    return problems


def _with_options(signature: Signature, options: str | None) -> Signature:
    further = {} if options is None else _fields(options).parameters
    return signature._replace(parameters={**signature.parameters, **further})


def _check_entries(entries: dict[str, Any], parameter: Parameter, *, key: KeyPath) -> list[Problem]:
    """That the values of a `dict[str, <type>]` are of that type."""
    match parameter.annotation:
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, annotation])):
            expected = expectation(annotation, parameter.scope)
            return [
                Problem((*key, name), f"{'.'.join((*key, name))}={value!r} does not fit; it takes {expected}")
                for name, value in entries.items()
                if not fits(value, annotation, parameter.scope)
            ]
    return []


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
    known = [prefix + name for name in signature.parameters if name not in filled_in]
    known += [name for name in names if name.split(".")[0] in signature.parameters]
    for name, value in values.items():
        parameter = signature.parameters.get(name)
        if parameter is None and not signature.is_open:
            suggestion = did_you_mean_key(prefix + name, known)
            problems.append(Problem((*key, name), f"{prefix}{name} is unknown{suggestion}"))
        elif parameter is not None and not fits(value, parameter.annotation, parameter.scope):
            expected = expectation(parameter.annotation, parameter.scope)
            message = f"{prefix}{name}={value!r} does not fit; it takes {expected}"
            problems.append(Problem((*key, name), message))
        elif parameter is not None and isinstance(value, dict):
            problems += _check_entries(value, parameter, key=(*key, name))
    missing = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.is_required and parameter.name not in values and parameter.name not in filled_in
    ]
    return problems + [Problem(key, f"{prefix}{name} is missing; add {prefix}{name}=<value>") for name in missing]

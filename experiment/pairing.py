"""That a model and a data set fit: the kind of batch, and the facts that both state."""

import ast
from typing import Any

from experiment.component_checks import Problem
from experiment.signatures import ClassSource, ancestors, find_class, method_of


def check_pairing(model: dict[str, Any], data: dict[str, Any]) -> list[Problem]:
    """What does not fit.

    A key that model and data both have (num_classes, in_channels) states the same fact, so its values must be equal.
    """
    taken, given = batch_taken(str(model["_target_"])), batch_given(str(data["_target_"]))
    problems = []
    if taken is None:
        message = f"model={model['_target_']} is no model: it has no _step that says which batch it takes"
        problems.append(Problem(("model", "_target_"), message))
    if given is None:
        message = f"data={data['_target_']} is no data module: it has no train_dataloader that says what it loads"
        problems.append(Problem(("data", "_target_"), message))
    if taken is not None and given is not None and taken != given:
        message = (
            f"model={model['_target_']} takes batches of type {taken}, but data={data['_target_']} gives {given};"
            " choose a model and data of the same kind"
        )
        problems.append(Problem(("model", "_target_"), message))
    for name in sorted(model.keys() & data.keys() - {"_target_"}):
        if model[name] != data[name]:
            message = (
                f"model.{name}={model[name]!r} but data.{name}={data[name]!r}; leave model.{name} to follow the data"
            )
            problems.append(Problem(("model", name), message))
    names, num_classes = data.get("class_names"), data.get("num_classes")
    if isinstance(names, list) and len(names) != num_classes:
        message = f"data.num_classes={num_classes}, but data.class_names has {', '.join(map(str, names))}"
        problems.append(Problem(("data", "num_classes"), message))
    return problems


def batch_taken(model: str) -> str | None:
    """The type of `batch` in the model's `_step`; None if it has none."""
    for source in _class_and_ancestors(model):
        step = method_of(source, "_step")
        for argument in step.args.args if step is not None else []:
            if argument.arg == "batch" and argument.annotation is not None:
                return ast.unparse(argument.annotation)
    return None


def batch_given(data: str) -> str | None:
    """The `Batch` in the data module's `train_dataloader(self) -> DataLoader[Batch]`; None if it has none."""
    for source in _class_and_ancestors(data):
        loader = method_of(source, "train_dataloader")
        if loader is not None and isinstance(loader.returns, ast.Subscript):
            return ast.unparse(loader.returns.slice)
    return None


def _class_and_ancestors(target: str) -> list[ClassSource]:
    source = find_class(target)
    return [] if source is None else ancestors(source)

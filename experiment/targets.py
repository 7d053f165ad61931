"""Which classes a configuration may name: who can edit a config, or a run's saved one, must not thereby run code.

Hydra refuses a list of known dangers; it has holes (pathlib.Path.touch, torch.load) and is no boundary, as Hydra says
itself. Here nothing is allowed but what stands below, and only classes: a path such as `torch.nn.os.system` ends in
none, and a class that a module of ours merely imports from elsewhere is refused too.
"""

import difflib
from typing import Any, NamedTuple

from experiment.failures import Refused
from experiment.signatures import ClassSource, find_class, find_module, names_in


class Allowed(NamedTuple):
    """Classes under a path, and the parameters that the code fills in where a config leaves them out."""

    prefix: str
    filled_in: frozenset[str] = frozenset()


_ALLOWED = (
    Allowed("lightning_modules.schedules.", frozenset({"optimizer", "num_steps"})),
    Allowed("lightning_modules."),
    Allowed("datamodules."),
    Allowed("experiment.callbacks."),
    Allowed("experiment.trackers."),
    Allowed("torch.optim.lr_scheduler.", frozenset({"optimizer", "total_steps", "T_max", "total_iters"})),
    Allowed("torch.optim.", frozenset({"params"})),
    Allowed("torch.nn."),
    Allowed("torchmetrics."),
    Allowed("torchvision.transforms.v2."),
    Allowed("pytorch_lightning.Trainer", frozenset({"logger", "callbacks", "plugins", "default_root_dir"})),
    Allowed("pytorch_lightning.callbacks."),
    Allowed("pytorch_lightning.loggers."),
    Allowed("pytorch_lightning.profilers."),
    Allowed("pytorch_lightning.strategies."),
)
# Hydra's other reserved keys: positional arguments and partial application would pass by the check of the keys.
RESERVED = ("_args_", "_partial_", "_recursive_", "_convert_")
# Keys of a model that are not for its constructor: how its steps are run (experiment.settings.ModelOptions).
MODEL_OPTIONS = ("engine",)


class AllowedClass(NamedTuple):
    """A class that a config may name."""

    source: ClassSource
    filled_in: frozenset[str]


def allowed_class(target: object) -> AllowedClass:
    """The class that a `_target_` names.

    Raises:
        Refused: it is not a class of one of the allowed places.
    """
    name = str(target)
    rule = next((rule for rule in _ALLOWED if name == rule.prefix or name.startswith(rule.prefix)), None)
    if rule is None or not isinstance(target, str):
        places = [rule.prefix.rstrip(".") for rule in _ALLOWED]
        close = difflib.get_close_matches(name, places, n=1, cutoff=0.8)
        meant = (
            f"; did you mean {close[0]}?"
            if close
            else f": a configuration may only name classes of {', '.join(places)}"
        )
        raise Refused(f"_target_={name} is not allowed{meant}")
    source = find_class(name)
    if source is None:
        raise Refused(f"_target_={name} names no class{_suggestion(name)}")
    if source.scope.module.split(".")[0] != name.split(".")[0]:
        raise Refused(
            f"_target_={name} is not allowed: that class belongs to {source.scope.module}, not to {rule.prefix}"
        )
    return AllowedClass(source, rule.filled_in)


def _suggestion(name: str) -> str:
    module, _, last = name.rpartition(".")
    while find_module(module) is None and "." in module:
        module, _, last = module.rpartition(".")
    if close := difflib.get_close_matches(last, _submodules(module) + names_in(module), n=1, cutoff=0.5):
        rest = name.removeprefix(f"{module}.{last}")
        return f"; did you mean {module}.{close[0]}{rest}?"
    return f"; {module} has no {last}"


def _submodules(module: str) -> list[str]:
    scope = find_module(module)
    if scope is None or scope.file.name != "__init__.py":
        return []
    return [path.stem for path in scope.file.parent.iterdir() if path.suffix == ".py" or path.is_dir()]


def check_targets(node: object) -> None:
    """Refuse a plain configuration that names anything not allowed, at any depth.

    Raises:
        Refused: see `allowed_class`; or one of Hydra's reserved keys is used.
    """
    if isinstance(node, dict):
        for key in RESERVED:
            if key in node:
                raise Refused(f"{key} is not allowed in a configuration; give every argument by its name")
        if "_target_" in node:
            allowed_class(node["_target_"])
        for value in node.values():
            check_targets(value)
    elif isinstance(node, list):
        for value in node:
            check_targets(value)


def instantiate(node: dict[str, Any], **arguments: Any) -> Any:
    """The object that a plain configuration describes, with the objects nested in it.

    Raises:
        Refused: see `check_targets`.
    """
    from hydra.utils import instantiate as hydra_instantiate

    check_targets(node)
    return hydra_instantiate(node, **arguments, _convert_="all")


def instantiate_flat(node: dict[str, Any]) -> Any:
    """The object that a plain configuration describes; nested descriptions reach its constructor as they are.

    Raises:
        Refused: see `check_targets`.
    """
    from hydra.utils import instantiate as hydra_instantiate

    check_targets(node)
    arguments = {key: value for key, value in node.items() if key not in MODEL_OPTIONS}
    return hydra_instantiate(arguments, _convert_="all", _recursive_=False)

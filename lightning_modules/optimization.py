"""Optimisers and schedules, built from the plain dicts that a config and a checkpoint hold."""

import inspect
from typing import Any

import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import ParamsT

from lightning_modules import schedules
from lightning_modules.components import arguments_of

# A schedule's length in optimiser steps: ours, and the names that torch's have for it.
_LENGTH_NAMES = ("num_steps", "total_steps", "T_max", "total_iters")


def build_optimization(
    parameters: ParamsT, *, optimizer: dict[str, Any], scheduler: dict[str, Any] | None, num_steps: int
) -> OptimizerLRSchedulerConfig | Optimizer:
    """What `configure_optimizers` returns: an optimiser, and a schedule that moves with every optimiser step.

    Args:
        parameters: or groups of them, as torch takes them; the rate of a group with a `name` is logged under it.
        optimizer: `{"_target_": "torch.optim.SGD", "lr": 0.1, ...}`.
        scheduler: `{"_target_": "lightning_modules.schedules.WarmupCosine", ...}`, or None for a constant rate; a
            length that the scheduler asks for and the dict leaves out is `num_steps`.

    Raises:
        ValueError: a `_target_` names anything but an optimiser of torch, or a scheduler of torch or of this project.
    """
    built = _class_of(optimizer, modules=(torch.optim,), parent=Optimizer)(parameters, **arguments_of(optimizer))
    assert isinstance(built, Optimizer)
    if scheduler is None:
        return built
    kind = _class_of(scheduler, modules=(schedules, lr_scheduler), parent=LRScheduler)
    arguments = arguments_of(scheduler)
    for name in _LENGTH_NAMES:
        if name in inspect.signature(kind).parameters:
            arguments.setdefault(name, num_steps)
    return {"optimizer": built, "lr_scheduler": {"scheduler": kind(built, **arguments), "interval": "step"}}


def _class_of(component: dict[str, Any], *, modules: tuple[Any, ...], parent: type) -> Any:
    target = str(component.get("_target_"))
    package, _, name = target.rpartition(".")
    kind = next((getattr(module, name, None) for module in modules if module.__name__ == package), None)
    if not (isinstance(kind, type) and issubclass(kind, parent)):
        places = " or ".join(module.__name__ for module in modules)
        raise ValueError(f"_target_={target} is not a {parent.__name__} class of {places}")
    return kind

"""Which parameters are trained, from which epoch on, and at which share of the learning rate."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from torch import nn

# Groups that are not named after parts of the network: its exchanged layer, and what no other group has.
HEAD, BACKBONE = "head", "backbone"


class Group(NamedTuple):
    """Parameters that are trained alike.

    Attributes:
        lr_factor: of the optimiser's learning rate; 0 is frozen.
        first_epoch: frozen before it.
    """

    parameters: list[str]
    lr_factor: float
    first_epoch: int


def plan_training(
    names: Sequence[str],
    *,
    head: Collection[str],
    lr_factors: Mapping[str, float],
    unfreeze_epochs: Mapping[str, int],
) -> dict[str, Group]:
    """Every parameter in exactly one group: the head's, else the one named after the longest beginning of its name.

    Args:
        names: of the network's parameters.
        lr_factors: for each group the factor on the learning rate: `head`, `backbone` for what is left, or a part of
            the network such as `features` or `layer4`.
        unfreeze_epochs: of a group its first epoch of training; 0 for those not named.

    Raises:
        ValueError: a group names no part of the network, a parameter has no group, a value is out of range or has no
            effect, or nothing is trained.
    """
    members: dict[str, list[str]] = {group: [] for group in lr_factors}
    for name in names:
        members[_group_of(name, head=head, groups=lr_factors)].append(name)
    parts = sorted({name.split(".")[0] for name in names if name not in head})
    for group, parameters in members.items():
        if not parameters and group != BACKBONE:
            raise ValueError(
                f"model.lr_factors.{group}: beside its head the network has no such part; it has {', '.join(parts)}"
            )
        if lr_factors[group] < 0:
            raise ValueError(f"model.lr_factors.{group}={lr_factors[group]}: choose 0 (frozen) or more")
    if all(lr_factors[group] == 0 for group, parameters in members.items() if parameters):
        raise ValueError("model.lr_factors are all 0, so that nothing is trained; give head a factor of 1")
    for group, epoch in unfreeze_epochs.items():
        if lr_factors.get(group, 0) == 0 or epoch < 0:
            raise ValueError(
                f"model.unfreeze_epochs.{group}={epoch}: it takes an epoch from 0 on, of a group that"
                " model.lr_factors trains"
            )
    return {
        group: Group(parameters, lr_factors[group], unfreeze_epochs.get(group, 0))
        for group, parameters in members.items()
        if parameters
    }


def _group_of(name: str, *, head: Collection[str], groups: Collection[str]) -> str:
    if name in head and HEAD in groups:
        return HEAD
    fitting = [group for group in groups if name == group or name.startswith(f"{group}.")]
    if not fitting and BACKBONE not in groups:
        raise ValueError(f"model.lr_factors has no group for {name}; add a factor for backbone, 0 to freeze the rest")
    return max(fitting, key=len, default=BACKBONE)


def frozen_at(epoch: int, groups: Mapping[str, Group]) -> set[str]:
    """Names of the parameters that are not trained in an epoch."""
    return {
        name
        for group in groups.values()
        if group.lr_factor == 0 or epoch < group.first_epoch
        for name in group.parameters
    }


def evaluate_frozen_modules_(network: nn.Module, frozen: Collection[str]) -> None:
    """Put every module of which all parameters are frozen into evaluation mode: batch statistics stay as they are.

    A dropout between a frozen and a trained layer is part of neither, and goes on.
    """
    for prefix, module in network.named_modules():
        names = [f"{prefix}.{name}".lstrip(".") for name, _ in module.named_parameters()]
        if names and all(name in frozen for name in names):
            module.eval()

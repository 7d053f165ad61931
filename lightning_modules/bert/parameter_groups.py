"""Which parameters of BERT learn at which rate."""

import re
from typing import Any

from torch import nn

from lightning_modules.bert.network import BERT

_LAYER = re.compile(r"layers\.(\d+)\.")


def parameter_groups(
    network: nn.Module, head: nn.Module, *, optimizer: dict[str, Any], layer_decay: float
) -> list[dict[str, Any]]:
    """A group for every depth: the lower, the slower, for what is general should change least.

    The head and the pooler learn at the optimiser's rate, the uppermost layer at `layer_decay` times it, and so on down
    to the embeddings (https://arxiv.org/abs/1905.05583, section 5.4.3, who found 0.95). Vectors (biases, normalisation)
    are not decayed towards 0, as in the authors' code.

    Raises:
        ValueError: the factor is not between 0 and 1.
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"model.layer_decay={layer_decay}: choose a factor above 0, up to 1 for one rate for all")
    assert isinstance(network, BERT)
    top = len(network.layers) + 1
    members: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        members.setdefault((_depth_of(name, top=top), parameter.ndim > 1), []).append(parameter)
    for parameter in head.parameters():
        members.setdefault((top, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": optimizer["lr"] * layer_decay ** (top - depth),
            "weight_decay": optimizer.get("weight_decay", 0.0) if is_decayed else 0.0,
            "name": f"{_name_of(depth, top=top)}{'' if is_decayed else ', not decayed'}",
        }
        for (depth, is_decayed), parameters in sorted(members.items(), key=lambda member: member[0])
    ]


def _depth_of(name: str, *, top: int) -> int:
    """0 for the embeddings, the layers from 1 on, `top` for what comes after them."""
    if layer := _LAYER.match(name):
        return int(layer[1]) + 1
    return top if name.startswith(("final_norm.", "pooler.")) else 0


def _name_of(depth: int, *, top: int) -> str:
    return {0: "embeddings", top: "head"}.get(depth, f"layer {depth}")

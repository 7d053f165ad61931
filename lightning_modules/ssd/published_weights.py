"""SSD's weights, and VGG-16's made into SSD's (https://arxiv.org/abs/1512.02325, section 3)."""

import re

import torch
from torch import Tensor, nn

from lightning_modules.pretrained import LoadingReport, Weights, load_weights_

# Of VGG-16's layers, the pooling after conv4_3: what follows belongs to SSD's second map.
_POOLING = 23
# Every 4th of 4,096 units, and of their 7 x 7 taps every 3rd: 1,024 units with 3 x 3 taps, 6 pixels apart in the image.
_UNITS = 4
_TAPS = 3


def load_published_weights_(network: nn.Module, weights: Weights) -> LoadingReport:
    """Load an SSD's state dict, whose heads may be for other classes, or that of torchvision's VGG-16.

    Raises:
        ValueError: the weights are another architecture's.
    """
    names = list(network.state_dict())
    if "features.0.weight" not in weights.state:
        return load_weights_(network, weights, new=[name for name in names if name.startswith("head.")])
    converted = convert_vgg16(weights.state)
    return load_weights_(
        network, Weights(f"{weights.source}, made into SSD's", converted), new=[n for n in names if n not in converted]
    )


def convert_vgg16(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions under SSD's names, and the fully connected layers, where they are there, thinned out."""
    converted = {}
    for name, value in state.items():
        if (match := re.fullmatch(r"features\.(\d+)\.(weight|bias)", name)) is None:
            continue
        layer, kind = int(match[1]), match[2]
        place = f"features.{layer}" if layer < _POOLING else f"extra.0.{layer - _POOLING}"
        converted[f"backbone.{place}.{kind}"] = value
    if "classifier.0.weight" in state:
        sixth = torch.unflatten(state["classifier.0.weight"], 1, (512, 7, 7))
        seventh = state["classifier.3.weight"][:, :, None, None]
        converted["backbone.extra.0.7.1.weight"] = sixth[::_UNITS, :, ::_TAPS, ::_TAPS]
        converted["backbone.extra.0.7.1.bias"] = state["classifier.0.bias"][::_UNITS]
        converted["backbone.extra.0.7.3.weight"] = seventh[::_UNITS, ::_UNITS]
        converted["backbone.extra.0.7.3.bias"] = state["classifier.3.bias"][::_UNITS]
    return converted

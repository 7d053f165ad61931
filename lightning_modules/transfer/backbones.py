"""Classifiers of images by name: our VGG, and all that torchvision has, with a head for any number of classes."""

import difflib
from typing import Any, NamedTuple

import torch
import torchvision
from torch import nn

from lightning_modules.vgg.network import CONVOLUTIONS, VGG

_OWN: dict[str, dict[str, Any]] = {
    **{f"vgg{depth}": {"depth": depth} for depth in CONVOLUTIONS},
    **{f"vgg{depth}_bn": {"depth": depth, "batch_norm": True} for depth in CONVOLUTIONS},
}
# Without the second classifiers that only training from the beginning uses; their published weights were trained with
# values from -1 to 1, to which `transform_input` brings ImageNet's normalisation.
_INCEPTION = {"aux_logits": False, "transform_input": True, "init_weights": True}
_ARGUMENTS = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION}
# What published weights have.
_IMAGENET_CLASSES = 1000


class Backbone(NamedTuple):
    """A network whose output are class scores.

    Attributes:
        head: names of the parameters whose shape depends on the number of classes: the layer to exchange.
        top: name of the network's last part, which holds the head; what comes before yields the features.
    """

    network: nn.Module
    head: list[str]
    top: str


def build_backbone(name: str, *, num_classes: int) -> Backbone:
    """A network at its initial weights.

    Raises:
        ValueError: torchvision has no classifier of that name.
    """
    network = _build(name, num_classes=num_classes)
    with torch.device("meta"):
        other = dict(_build(name, num_classes=num_classes + 1).named_parameters())
    head = [own for own, parameter in network.named_parameters() if parameter.shape != other[own].shape]
    return Backbone(network, head, top=head[0].split(".")[0])


def _build(name: str, *, num_classes: int) -> nn.Module:
    if name in _OWN:
        return VGG(num_classes=num_classes, **_OWN[name])
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
        raise ValueError(f"model.backbone={name} is no classifier of torchvision's; {meant}")
    network: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=num_classes, **_ARGUMENTS.get(name, {})
    )
    if isinstance(network, torchvision.models.SqueezeNet) and num_classes != _IMAGENET_CLASSES:
        # Its ReLU after the class scores stops the gradient of negative ones: ants and bees 0.915 with, 0.941 without.
        network.classifier[2] = nn.Identity()
    return network

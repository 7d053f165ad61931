"""VGG with 16 layers (https://arxiv.org/abs/1409.1556, table 1, column D), with the weights of torchvision.

    weights = torch.load("vgg16-397923af.pth", weights_only=True)
    scores = VGG16(weights)(image)

A linear layer of the engine holds its weight as (in, out), torch's as (out, in): the only thing to convert.
"""

# ruff: noqa: N806 - a weight is W

from __future__ import annotations

from collections.abc import Mapping

from engine import Array, Value
from engine import functions as F
from engine.layers import Conv2d, Linear
from engine.models import Model

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(Model):
    """Scores of classes for images (B, 3, 224, 224), red first, normalised as torchvision's weights want it.

    Args:
        weights: torchvision's state dict; without one the weights are random and come with the first image.
        num_classes: how many classes there are.
    """

    def __init__(self, weights: Mapping[str, Array] | None = None, *, num_classes: int = 1000) -> None:
        self.blocks = [[Conv2d(out, 3, pad=1) for out in block] for block in BLOCKS]
        self.classifier = [Linear(4096), Linear(4096), Linear(num_classes)]
        if weights is not None:
            self.load(weights)

    def features(self, image: Value, *, num_blocks: int = len(BLOCKS)) -> list[Value]:
        """What the last convolution of each of the first blocks sees, before pooling; images of any size."""
        seen: list[Value] = []
        x = image
        for block in self.blocks[:num_blocks]:
            x = x if not seen else F.pooling(x, 2, 2)
            for convolution in block:
                x = F.relu(convolution(x))
            seen.append(x)
        return seen

    def classify(self, features: Value) -> Value:
        """Scores from what the last block sees."""
        x = F.flatten(F.pooling(features, 2, 2))
        for layer in self.classifier[:-1]:
            x = F.dropout(F.relu(layer(x)))
        scores: Value = self.classifier[-1](x)
        return scores

    def forward(self, image: Value) -> Value:
        if tuple(image.shape[1:]) != (3, 224, 224):
            raise ValueError(f"images of shape {tuple(image.shape)}; VGG16 classifies (B, 3, 224, 224)")
        return self.classify(self.features(image)[-1])

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take the weights of a state dict; nothing is taken unless its names and shapes are those of VGG-16."""
        layers: list[Conv2d | Linear] = [layer for block in self.blocks for layer in block] + self.classifier
        stems = list(dict.fromkeys(name.rpartition(".")[0] for name in weights))  # in the order of the layers
        expected = {f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")}
        if len(stems) != len(layers) or weights.keys() != expected:
            raise ValueError(
                f"not a state dict of VGG-16: {len(weights)} entries; expected weight and bias of {len(layers)} layers"
            )
        converted = []
        for layer, stem in zip(layers, stems, strict=True):
            W, b = weights[f"{stem}.weight"].detach(), weights[f"{stem}.bias"].detach()
            converted.append((W.T.contiguous() if isinstance(layer, Linear) else W, b))
            wanted = layer.out_size if isinstance(layer, Linear) else layer.out_channels
            if len(b) != wanted:
                raise ValueError(f"{stem} has {len(b)} outputs, expected {wanted}")
        for layer, (W, b) in zip(layers, converted, strict=True):
            layer.W.initialise(W)
            assert layer.b is not None
            layer.b.initialise(b)

"""Models: layers put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine import functions as F
from engine.layers import BatchNorm, Conv2d, Layer, Linear
from engine.variable import Value


class Model(Layer):
    """A layer that is used on its own."""


class Sequential(Model):
    """Layers and functions, one after the other."""

    def __init__(self, *layers: Callable[[Value], Value]) -> None:
        self.layers = list(layers)

    def forward(self, x: Value) -> Value:
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Model):
    """Fully connected layers with an activation between them."""

    def __init__(
        self,
        fc_output_sizes: Sequence[int],
        activation: Callable[[Value], Value] = F.sigmoid,
        *,
        in_size: int | None = None,
    ) -> None:
        self.activation = activation
        in_sizes = [in_size, *fc_output_sizes[:-1]] if in_size else [None] * len(fc_output_sizes)
        self.layers = [Linear(out, in_size=n) for n, out in zip(in_sizes, fc_output_sizes, strict=True)]

    def forward(self, x: Value) -> Value:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)  # type: ignore[no-any-return]


class CNN(Model):
    """Blocks of convolution, batch normalisation, ReLU and max pooling, then a linear classifier."""

    def __init__(self, num_classes: int, channels: Sequence[int] = (16, 32)) -> None:
        self.convolutions = [Conv2d(out, 3, pad=1, nobias=True) for out in channels]
        self.norms = [BatchNorm() for _ in channels]
        self.classifier = Linear(num_classes)

    def forward(self, x: Value) -> Value:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.pooling(F.relu(norm(convolution(x))), 2, 2)
        return self.classifier(F.flatten(x))  # type: ignore[no-any-return]

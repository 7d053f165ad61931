"""DeZero's models."""

# ruff: noqa: FBT001, FBT002 - DeZero's signatures

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import layers as engine_layers
from engine.compat.dezero import functions as F
from engine.compat.dezero.inspection import plot_dot_graph
from engine.compat.dezero.layers import BatchNorm, Conv2d, Layer, Linear


class Model(Layer):
    """A layer that is used on its own."""

    def plot(self, *inputs: Any, to_file: str = "model.png") -> Path:
        """Draw the graph of one call."""
        return plot_dot_graph(self(*inputs), to_file=to_file)


class Sequential(Model):
    """Layers and functions, one after the other."""

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        self.layers = list(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Model):
    """Fully connected layers with an activation between them."""

    def __init__(self, fc_output_sizes: Sequence[int], activation: Callable[[Any], Any] = F.sigmoid) -> None:
        self.activation = activation
        self.layers = [Linear(size) for size in fc_output_sizes]

    def forward(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class VGG16(Model):
    """VGG with 16 layers (https://arxiv.org/abs/1409.1556, table 1, column D)."""

    BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

    def __init__(self, pretrained: bool | str = False) -> None:
        for block, channels in enumerate(self.BLOCKS, start=1):
            for number, out_channels in enumerate(channels, start=1):
                setattr(self, f"conv{block}_{number}", Conv2d(out_channels, 3, 1, 1))
        self.fc6, self.fc7, self.fc8 = Linear(4096), Linear(4096), Linear(1000)
        _load(self, pretrained)

    def forward(self, x: Any) -> Any:
        for block, channels in enumerate(self.BLOCKS, start=1):
            for number in range(1, len(channels) + 1):
                x = F.relu(getattr(self, f"conv{block}_{number}")(x))
            x = F.pooling(x, 2, 2)
        x = F.flatten(x)
        x = F.dropout(F.relu(self.fc6(x)))
        x = F.dropout(F.relu(self.fc7(x)))
        return self.fc8(x)

    @staticmethod
    def preprocess(image: Any, size: tuple[int, int] = (224, 224), dtype: Any = np.float32) -> Any:
        """A PIL image as VGG's first authors fed it: blue, green, red, less the mean of ImageNet."""
        pixels = np.asarray(image.convert("RGB").resize(size), dtype=dtype)[:, :, ::-1]
        return (pixels - np.array([103.939, 116.779, 123.68], dtype=dtype)).transpose(2, 0, 1)


class Bottleneck(Layer):
    """A residual block of three convolutions (https://arxiv.org/abs/1512.03385, figure 5, right)."""

    def __init__(self, channels: int, out_channels: int, stride: int, *, projects: bool) -> None:
        self.conv1 = Conv2d(channels, 1, stride, 0, nobias=True)
        self.conv2 = Conv2d(channels, 3, 1, 1, nobias=True)
        self.conv3 = Conv2d(out_channels, 1, 1, 0, nobias=True)
        self.norms = [BatchNorm() for _ in range(3)]
        self.shortcut: list[engine_layers.Layer] = []
        if projects:
            self.shortcut = [Conv2d(out_channels, 1, stride, 0, nobias=True), BatchNorm()]

    def forward(self, x: Any) -> Any:
        h = F.relu(self.norms[0](self.conv1(x)))
        h = F.relu(self.norms[1](self.conv2(h)))
        h = self.norms[2](self.conv3(h))
        for layer in self.shortcut:
            x = layer(x)
        return F.relu(h + x)


class ResNet(Model):
    """Residual networks of 50, 101 and 152 layers (https://arxiv.org/abs/1512.03385, table 1)."""

    DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # noqa: RUF012

    def __init__(self, n_layers: int = 152, pretrained: bool | str = False) -> None:
        if n_layers not in self.DEPTHS:
            raise ValueError(f"n_layers={n_layers} is not one of {', '.join(map(str, self.DEPTHS))}")
        self.conv1 = Conv2d(64, 7, 2, 3)
        self.bn1 = BatchNorm()
        self.blocks = [
            Bottleneck(64 * 2**stage, 256 * 2**stage, 2 if stage and not i else 1, projects=i == 0)
            for stage, depth in enumerate(self.DEPTHS[n_layers])
            for i in range(depth)
        ]
        self.fc6 = Linear(1000)
        _load(self, pretrained)

    def forward(self, x: Any) -> Any:
        x = F.pooling(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.fc6(F.average(x, (2, 3)))


class ResNet50(ResNet):
    """The one of 50 layers."""

    def __init__(self, pretrained: bool | str = False) -> None:
        super().__init__(50, pretrained)


def _load(model: Model, pretrained: bool | str) -> None:
    if pretrained is True:
        raise ValueError("the engine downloads nothing; give the path of weights that save_weights wrote")
    if pretrained:
        model.load_weights(pretrained)

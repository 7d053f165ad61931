"""BN-Inception, frame by frame (Ioffe and Szegedy, https://arxiv.org/abs/1502.03167, appendix, figure 5).

Layers have the names of the Caffe network that ECO and TSN start from: `inception_3a_double_3x3_1` is
`inception_3a.layers.double_3x3_1` here.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Widths(NamedTuple):
    """Channels of an inception unit's branches; of `single` and `projection` 0 where a unit halves the resolution.

    Attributes:
        single: of the 1x1 convolution.
        triple: of the 1x1 before the 3x3, and of the 3x3.
        double: of the 1x1 before the two 3x3, and of each of them.
        projection: of the 1x1 after the pooling.
    """

    single: int
    triple: tuple[int, int]
    double: tuple[int, int]
    projection: int


UNITS = {
    "3a": Widths(64, (64, 64), (64, 96), 32),
    "3b": Widths(64, (64, 96), (64, 96), 64),
    "3c": Widths(0, (128, 160), (64, 96), 0),
    "4a": Widths(224, (64, 96), (96, 128), 128),
    "4b": Widths(192, (96, 128), (96, 128), 128),
    "4c": Widths(160, (128, 160), (128, 160), 128),
    "4d": Widths(96, (128, 192), (160, 192), 128),
    "4e": Widths(0, (128, 192), (192, 256), 0),
    "5a": Widths(352, (192, 320), (160, 224), 128),
    "5b": Widths(352, (192, 320), (192, 224), 128),
}
# Of conv1_7x7_s2, conv2_3x3_reduce and conv2_3x3.
_STEM = (64, 64, 192)


class ConvNormReLU(nn.Module):
    """A convolution with a bias, as Caffe has it, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2)
        self.bn = nn.BatchNorm2d(out_channels)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        return F.relu(self.bn(self.conv(features)))


class InceptionUnit(nn.Module):
    """Convolutions of several sizes beside each other.

    Args:
        pooling: `average` or `max`, before the projection; a unit that halves the resolution has `max` without one.
    """

    def __init__(self, in_channels: int, widths: Widths, *, pooling: str) -> None:
        super().__init__()
        self.halves = widths.single == 0
        self.pooling = pooling
        stride = 2 if self.halves else 1
        layers = {}
        if not self.halves:
            layers["1x1"] = ConvNormReLU(in_channels, widths.single, kernel_size=1)
            layers["pool_proj"] = ConvNormReLU(in_channels, widths.projection, kernel_size=1)
        layers["3x3_reduce"] = ConvNormReLU(in_channels, widths.triple[0], kernel_size=1)
        layers["3x3"] = ConvNormReLU(*widths.triple, kernel_size=3, stride=stride)
        layers["double_3x3_reduce"] = ConvNormReLU(in_channels, widths.double[0], kernel_size=1)
        layers["double_3x3_1"] = ConvNormReLU(*widths.double, kernel_size=3)
        layers["double_3x3_2"] = ConvNormReLU(widths.double[1], widths.double[1], kernel_size=3, stride=stride)
        self.layers = nn.ModuleDict(layers)
        pooled = in_channels if self.halves else widths.projection
        self.out_channels = widths.single + widths.triple[1] + widths.double[1] + pooled

    def double_3x3_1(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H W"]:
        """The first of the two 3x3 convolutions: of 3c it is what ECO stacks over time."""
        maps: Tensor = self.layers["double_3x3_1"](self.layers["double_3x3_reduce"](features))
        return maps

    def join(
        self, features: Float[Tensor, "B C H W"], double_3x3_1: Float[Tensor, "B C2 H W"]
    ) -> Float[Tensor, "B C3 H2 W2"]:
        """All branches beside each other."""
        branches = [
            self.layers["3x3"](self.layers["3x3_reduce"](features)),
            self.layers["double_3x3_2"](double_3x3_1),
        ]
        if self.halves:
            branches.append(F.max_pool2d(features, 3, stride=2, ceil_mode=True))
        else:
            pool = F.avg_pool2d if self.pooling == "average" else F.max_pool2d
            pooled = pool(features, 3, stride=1, padding=1)
            branches = [self.layers["1x1"](features), *branches, self.layers["pool_proj"](pooled)]
        return torch.cat(branches, dim=1)

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        return self.join(features, self.double_3x3_1(features))


class FrameFeatures(NamedTuple):
    """What a network for images makes of frames: maps before their order in time counts, and features of the whole."""

    maps: Float[Tensor, "B C H W"]
    features: Float[Tensor, "B D"] | None


class BNInception(nn.Module):
    """BN-Inception without its classifier.

    Args:
        width: factor on all channels; 1 is the paper's.
        is_whole: False ends with the maps, as ECO-Lite does.

    Attributes:
        map_channels: of the maps, which have an eighth of a frame's side.
        feature_dim: of the features.
    """

    def __init__(self, *, width: float, is_whole: bool) -> None:
        super().__init__()
        first, reduced, second = (_scaled(channels, width) for channels in _STEM)
        self.conv1_7x7_s2 = ConvNormReLU(3, first, kernel_size=7, stride=2)
        self.conv2_3x3_reduce = ConvNormReLU(first, reduced, kernel_size=1)
        self.conv2_3x3 = ConvNormReLU(reduced, second, kernel_size=3)
        self.inception_3a = _unit("3a", second, width=width)
        self.inception_3b = _unit("3b", self.inception_3a.out_channels, width=width)
        self.inception_3c = _unit("3c", self.inception_3b.out_channels, width=width)
        self.map_channels = _scaled(UNITS["3c"].double[1], width)
        self.feature_dim = self.inception_3c.out_channels
        self.last_units: list[str] = []
        if is_whole:
            for name in (name for name in UNITS if name > "3c"):
                unit = _unit(name, self.feature_dim, width=width)
                self.add_module(f"inception_{name}", unit)
                self.last_units.append(f"inception_{name}")
                self.feature_dim = unit.out_channels
        else:
            # Nobody would look at what they compute.
            for layer in ("3x3_reduce", "3x3", "double_3x3_2"):
                del self.inception_3c.layers[layer]
        self.is_whole = is_whole

    def forward(self, frame: Float[Tensor, "B 3 H W"]) -> FrameFeatures:
        features = F.max_pool2d(self.conv1_7x7_s2(frame), 3, stride=2, ceil_mode=True)
        features = F.max_pool2d(self.conv2_3x3(self.conv2_3x3_reduce(features)), 3, stride=2, ceil_mode=True)
        features = self.inception_3b(self.inception_3a(features))
        maps = self.inception_3c.double_3x3_1(features)
        if not self.is_whole:
            return FrameFeatures(maps, None)
        features = self.inception_3c.join(features, maps)
        for name in self.last_units:
            features = self.get_submodule(name)(features)
        return FrameFeatures(maps, features.mean(dim=(2, 3)))


def _scaled(channels: int, width: float) -> int:
    if int(channels * width) < 1:
        raise ValueError(f"width={width} leaves a layer of {channels} channels with none; take 1/32 or more")
    return int(channels * width)


def _unit(name: str, in_channels: int, *, width: float) -> InceptionUnit:
    widths = UNITS[name]
    single, projection = (_scaled(c, width) if c > 0 else 0 for c in (widths.single, widths.projection))
    triple, double = (
        (_scaled(reduced, width), _scaled(channels, width)) for reduced, channels in (widths.triple, widths.double)
    )
    scaled = Widths(single, triple, double, projection)
    return InceptionUnit(in_channels, scaled, pooling="max" if name == "5b" else "average")

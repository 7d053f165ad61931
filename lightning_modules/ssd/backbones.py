"""What SSD may stand on: networks that give feature maps from fine to coarse.

A backbone has `out_channels`, the channels of its maps, and its `forward` returns the maps.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model

FeatureMaps = list[Float[Tensor, "B _ _ _"]]


class VGG16Features(nn.Module):
    """VGG-16 and the layers that SSD300 adds (https://arxiv.org/abs/1512.02325, section 3 and figure 2).

    The fully connected layers become convolutions, the first with holes: after the last pooling no longer halves the
    map, its taps lie 6 pixels apart. Names and order of the parameters are those of torchvision's ssd300_vgg16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out_channels = [512, 1024, 512, 256, 256, 256]
        # Activations of conv4_3 are of another size than the deeper ones (ParseNet, section 3.1).
        self.scale_weight = nn.Parameter(torch.full((512,), 20.0))
        pool = nn.MaxPool2d(kernel_size=2, stride=2)
        # 300 is halved to 150, 75, and with this to 38.
        pool_up = nn.MaxPool2d(kernel_size=2, stride=2, ceil_mode=True)
        self.features = nn.Sequential(
            *_stage(3, 64, depth=2), pool, *_stage(64, 128, depth=2), pool, *_stage(128, 256, depth=3), pool_up,
            *_stage(256, 512, depth=3),
        )  # fmt: skip
        fully_connected = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        self.extra = nn.ModuleList(
            [
                nn.Sequential(pool, *_stage(512, 512, depth=3), fully_connected),
                extra_layer(1024, 256, 512, stride=2),
                extra_layer(512, 128, 256, stride=2),
                extra_layer(256, 128, 256, stride=1),
                extra_layer(256, 128, 256, stride=1),
            ]
        )
        for module in self.extra.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # all of them have one

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> FeatureMaps:
        """Of 300 pixels: maps of 38, 19, 10, 5, 3 and 1 cells along a side."""
        features = self.features(image)
        maps = [self.scale_weight[:, None, None] * F.normalize(features)]
        for layer in self.extra:
            features = layer(features)
            maps.append(features)
        return maps


class ResNetFeatures(nn.Module):
    """torchvision's ResNet without its classifier, and SSD300's added layers.

    Args:
        depth: 18, 34, 50, 101 or 152.
    """

    def __init__(self, *, depth: int) -> None:
        super().__init__()
        resnet = get_model(f"resnet{depth}", weights=None)
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1)
        widths = [layer[0].conv1.in_channels for layer in (resnet.layer3, resnet.layer4)] + [resnet.fc.in_features]
        self.layers = nn.ModuleList(
            [
                resnet.layer2,
                resnet.layer3,
                resnet.layer4,
                extra_layer(widths[-1], 256, 512, stride=2),
                extra_layer(512, 128, 256, stride=1),
                extra_layer(256, 128, 256, stride=1),
            ]
        )
        self.out_channels = [*widths, 512, 256, 256]

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> FeatureMaps:
        """Of 300 pixels: maps of 38, 19, 10, 5, 3 and 1 cells along a side."""
        features = self.stem(image)
        maps = []
        for layer in self.layers:
            features = layer(features)
            maps.append(features)
        return maps


class SmallFeatures(nn.Module):
    """Stages of two 3x3 convolutions with batch norm, each of which halves the resolution.

    Args:
        widths: channels of each stage.
        num_maps: how many of the last stages are feature maps.
    """

    def __init__(self, *, widths: Sequence[int], num_maps: int) -> None:
        super().__init__()
        channels = [3, *widths]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *_normalised(channels[index], width, stride=2),
                *_normalised(width, width, stride=1),
            )
            for index, width in enumerate(widths)
        )
        self.num_maps = num_maps
        self.out_channels = list(widths[-num_maps:])

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> FeatureMaps:
        """Each map has half the cells of the one before, rounded up."""
        maps = []
        features: Tensor = image
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps[-self.num_maps :]


def extra_layer(in_channels: int, hidden: int, out_channels: int, *, stride: int) -> nn.Sequential:
    """SSD's added layers: a bottleneck, and a 3x3 convolution that halves the map or, without padding, eats its rim."""
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, kernel_size=3, stride=stride, padding=1 if stride > 1 else 0),
        nn.ReLU(inplace=True),
    )


def _stage(in_channels: int, out_channels: int, *, depth: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(depth):
        convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # it has one
        layers += [convolution, nn.ReLU(inplace=True)]
        in_channels = out_channels
    return layers


def _normalised(in_channels: int, out_channels: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]

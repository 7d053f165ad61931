"""ECO: a network for images on each of a few frames, then 3D convolutions (https://arxiv.org/abs/1804.09066)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.eco.fronts import build_front

# Channels of res3, res4 and res5.
_CHANNELS = (128, 256, 512)


class ConvNormReLU3d(nn.Module):
    """A convolution with a bias, as Caffe has it, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv = _convolution(in_channels, out_channels, stride=stride)
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, features: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B C2 T2 H2 W2"]:
        return F.relu(self.bn(self.conv(features)))


class ResidualStage(nn.Module):
    """Two units of which the first, a, changes channels and resolution, with shortcuts taken before batch norm.

    Layers have the names of the authors' Caffe network: `res4a_down` is `res4.a_down` here.

    Args:
        stride: of frames, rows and columns; 1 leaves out a's first convolution and its shortcut, as in res3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.a_1: nn.Module | None = None
        self.a_down: nn.Module | None = None
        if stride > 1:
            self.a_1 = ConvNormReLU3d(in_channels, out_channels, stride=stride)
            # 3x3x3 where other residual networks have 1x1x1.
            self.a_down = _convolution(in_channels, out_channels, stride=stride)
        self.a_2 = _convolution(out_channels if stride > 1 else in_channels, out_channels, stride=1)
        self.a_bn = nn.BatchNorm3d(out_channels)
        self.b_1 = ConvNormReLU3d(out_channels, out_channels, stride=1)
        self.b_2 = _convolution(out_channels, out_channels, stride=1)
        self.b_bn = nn.BatchNorm3d(out_channels)

    def forward(self, features: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B C2 T2 H2 W2"]:
        if self.a_1 is None or self.a_down is None:
            sum_a = self.a_2(features)
        else:
            sum_a = self.a_2(self.a_1(features)) + self.a_down(features)
        sum_b = self.b_2(self.b_1(F.relu(self.a_bn(sum_a)))) + sum_a
        return F.relu(self.b_bn(sum_b))


class ECO(nn.Module):
    """ECO-Lite, or ECO-Full with a second way for appearance (section 3, figure 2).

    Any number and size of frames will do: the means over them adapt. At the paper's 16 frames of 224 pixels
    BN-Inception leaves 96 x 28 x 28 of each, the 3D stages 512 x 4 x 7 x 7 of all.

    Args:
        front: `bn_inception`, or one of torchvision's classifiers.
        map_layer: of torchvision's, see `GraftedFront`.
        is_full: also the mean over frames of the front's own features, beside those of the 3D stages.
        width: factor on the channels of BN-Inception and of the 3D stages; 1 is the paper's.
        dropout: before the last layer.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        front: str = "bn_inception",
        map_layer: str | None = None,
        is_full: bool = False,
        width: float = 1.0,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.front = build_front(front, map_layer=map_layer, width=width, is_whole=is_full)
        third, fourth, fifth = (max(1, int(channels * width)) for channels in _CHANNELS)
        self.res3 = ResidualStage(self.front.map_channels, third, stride=1)
        self.res4 = ResidualStage(third, fourth, stride=2)
        self.res5 = ResidualStage(fourth, fifth, stride=2)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(fifth + (self.front.feature_dim if is_full else 0), num_classes)

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B K"]:
        """Class scores (logits) of normalised clips."""
        num_frames = clip.shape[2]
        # Every frame is an image of its own: B T 3 H W.
        frames = clip.transpose(1, 2).flatten(end_dim=1)
        maps, frame_features = self.front(frames)
        # And back: B C T H W.
        stacked = maps.unflatten(0, (-1, num_frames)).transpose(1, 2)
        features = self.res5(self.res4(self.res3(stacked))).mean(dim=(2, 3, 4))
        if frame_features is not None:
            appearance = frame_features.unflatten(0, (-1, num_frames)).mean(dim=1)
            features = torch.cat([appearance, features], dim=1)
        scores: Tensor = self.fc(self.dropout(features))
        return scores


def _convolution(in_channels: int, out_channels: int, *, stride: int) -> nn.Conv3d:
    convolution = nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution

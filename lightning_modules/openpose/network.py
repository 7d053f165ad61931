"""OpenPose's two networks: maps of joints and fields along limbs, refined stage by stage.

Names: `fields` are the part affinity fields (two channels for each limb), `heatmaps` the confidence maps of the joints
and, last, of the background.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_modules.openpose.skeleton import NUM_FIELD_CHANNELS, NUM_HEATMAPS


class StageMaps(NamedTuple):
    """What every stage says, the last one last."""

    fields: list[Float[Tensor, "B 38 h w"]]
    heatmaps: list[Float[Tensor, "B 19 h w"]]


class OpenPose2017(nn.Module):
    """Two branches through six stages (Cao et al., https://arxiv.org/abs/1611.08050, section 2.1 and figure 3).

    Args:
        features: output channels of VGG's 3x3 convolutions, a list per resolution, a pooling between two of them; the
            paper takes the first ten of VGG-19, which leaves an eighth of the image's side.
        reduction: output channels of the 3x3 convolutions behind them.
        num_stages: of which the first sees the features only, and each other the maps before it too.
        width: channels of the stages.
        first_hidden: channels before the first stage's maps.
        kernel_size: of the stages from the second on.
        num_convolutions: of that kernel in a branch of these stages.
        batch_norm: after each convolution that has a ReLU; not in the paper.

    Raises:
        ValueError: there are no features or no stages.
    """

    def __init__(
        self,
        *,
        features: Sequence[Sequence[int]],
        reduction: Sequence[int],
        num_stages: int = 6,
        width: int = 128,
        first_hidden: int = 512,
        kernel_size: int = 7,
        num_convolutions: int = 5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if num_stages < 1:
            raise ValueError(f"num_stages={num_stages}: there is at least one stage; raise it")
        self.features = vgg_features(features, batch_norm=batch_norm)
        self.stride = 2 ** (len(features) - 1)
        self.reduction, channels = _reduction(features[-1][-1], reduction, batch_norm=batch_norm)
        self.field_stages, self.heatmap_stages = nn.ModuleList(), nn.ModuleList()
        for stage in range(num_stages):
            for branch, out_channels in (
                (self.field_stages, NUM_FIELD_CHANNELS),
                (self.heatmap_stages, NUM_HEATMAPS),
            ):
                if stage == 0:
                    widths, hidden, size, inputs = [width] * 3, first_hidden, 3, channels
                else:
                    widths, hidden, size = [width] * num_convolutions, width, kernel_size
                    inputs = channels + NUM_FIELD_CHANNELS + NUM_HEATMAPS
                layers = [
                    *_convolutions(inputs, widths, kernel_size=size, batch_norm=batch_norm),
                    *_convolutions(widths[-1], [hidden], kernel_size=1, batch_norm=batch_norm),
                    nn.Conv2d(hidden, out_channels, kernel_size=1),
                ]
                branch.append(nn.Sequential(*layers))
        initialise_(self)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> StageMaps:
        """Maps at 1/stride of the image, of every stage."""
        features = self.reduction(self.features(image))
        maps = StageMaps([], [])
        inputs = features
        for field_stage, heatmap_stage in zip(self.field_stages, self.heatmap_stages, strict=True):
            maps.fields.append(field_stage(inputs))
            maps.heatmaps.append(heatmap_stage(inputs))
            # The authors' order, in which their weights come.
            inputs = torch.cat([maps.fields[-1], maps.heatmaps[-1], features], dim=1)
        return maps


class OpenPose2019(nn.Module):
    """Fields first, joints from the finished fields (Cao et al., https://arxiv.org/abs/1812.08008, section 3.2).

    Each 7x7 convolution is three of 3x3 whose outputs are put side by side. Channels are those of the released
    BODY_25 network; its joints and limbs are COCO's here.

    Args:
        features, reduction, batch_norm: see `OpenPose2017`.
        num_field_stages, num_heatmap_stages: the paper has 4 and 2.
        first_width, first_hidden: channels of the first stage of each kind, and before its maps.
        width, hidden: the same of the other stages.
        num_blocks: of three convolutions, in each stage.

    Raises:
        ValueError: there are no features, or a kind of stage is missing.
    """

    def __init__(
        self,
        *,
        features: Sequence[Sequence[int]],
        reduction: Sequence[int],
        num_field_stages: int = 4,
        num_heatmap_stages: int = 2,
        first_width: int = 96,
        first_hidden: int = 256,
        width: int = 128,
        hidden: int = 512,
        num_blocks: int = 5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if min(num_field_stages, num_heatmap_stages) < 1:
            raise ValueError(
                f"num_field_stages={num_field_stages}, num_heatmap_stages={num_heatmap_stages}: there is at least one"
                " of each; raise it"
            )
        self.features = vgg_features(features, batch_norm=batch_norm)
        self.stride = 2 ** (len(features) - 1)
        self.reduction, channels = _reduction(features[-1][-1], reduction, batch_norm=batch_norm)
        self.field_stages, self.heatmap_stages = nn.ModuleList(), nn.ModuleList()
        for branch, num_stages, known, out_channels in (
            (self.field_stages, num_field_stages, 0, NUM_FIELD_CHANNELS),
            (self.heatmap_stages, num_heatmap_stages, NUM_FIELD_CHANNELS, NUM_HEATMAPS),
        ):
            for stage in range(num_stages):
                inputs = channels + known + (out_channels if stage > 0 else 0)
                block_width, hidden_width = (first_width, first_hidden) if stage == 0 else (width, hidden)
                branch.append(
                    nn.Sequential(
                        *(
                            DenseBlock(inputs if block == 0 else 3 * block_width, block_width, batch_norm=batch_norm)
                            for block in range(num_blocks)
                        ),
                        nn.Conv2d(3 * block_width, hidden_width, kernel_size=1),
                        nn.PReLU(hidden_width),
                        nn.Conv2d(hidden_width, out_channels, kernel_size=1),
                    )
                )
        initialise_(self)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> StageMaps:
        """Maps at 1/stride of the image, of every stage."""
        features = self.reduction(self.features(image))
        maps = StageMaps([], [])
        for stage in self.field_stages:
            maps.fields.append(stage(torch.cat([features, *maps.fields[-1:]], dim=1)))
        known = torch.cat([features, maps.fields[-1]], dim=1)
        for stage in self.heatmap_stages:
            maps.heatmaps.append(stage(torch.cat([known, *maps.heatmaps[-1:]], dim=1)))
        return maps


class DenseBlock(nn.Module):
    """Three 3x3 convolutions in a row, all their outputs side by side (figure 4 of the 2019 paper)."""

    def __init__(self, in_channels: int, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels if place == 0 else width, width, kernel_size=3, padding=1),
                *([nn.BatchNorm2d(width)] if batch_norm else []),
                nn.PReLU(width),
            )
            for place in range(3)
        )

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        outputs = [x]
        for convolution in self.convolutions:
            outputs.append(convolution(outputs[-1]))
        return torch.cat(outputs[1:], dim=1)


def vgg_features(channels: Sequence[Sequence[int]], *, batch_norm: bool) -> nn.Sequential:
    """VGG's convolutions up to, not including, the last resolution's pooling; parameters named as torchvision's.

    Raises:
        ValueError: a resolution has no convolution.
    """
    if not channels or not all(channels):
        raise ValueError(f"features={channels}: give each resolution at least one convolution")
    layers: list[nn.Module] = []
    in_channels = 3
    for resolution in channels:
        if layers:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        layers += _convolutions(in_channels, resolution, kernel_size=3, batch_norm=batch_norm)
        in_channels = resolution[-1]
    return nn.Sequential(*layers)


def _reduction(in_channels: int, channels: Sequence[int], *, batch_norm: bool) -> tuple[nn.Sequential, int]:
    layers = _convolutions(in_channels, channels, kernel_size=3, batch_norm=batch_norm)
    return nn.Sequential(*layers), channels[-1] if channels else in_channels


def _convolutions(in_channels: int, channels: Sequence[int], *, kernel_size: int, batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for out_channels in channels:
        layers.append(nn.Conv2d(in_channels, out_channels, kernel_size=kernel_size, padding=kernel_size // 2))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.ReLU(inplace=True))
        in_channels = out_channels
    return layers


def initialise_(network: nn.Module) -> None:
    """He's spread (https://arxiv.org/abs/1502.01852, section 2.2); nothing but a hint in the layers that give maps.

    The authors start VGG from ImageNet and draw the rest with standard deviation 0.01. From nothing that loses the
    signal: twelve such layers leave less than 1e-6 of it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.out_channels in (NUM_FIELD_CHANNELS, NUM_HEATMAPS):
                nn.init.normal_(module.weight, std=0.01)
            assert module.bias is not None
            nn.init.zeros_(module.bias)

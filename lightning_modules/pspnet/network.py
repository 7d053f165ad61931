"""PSPNet: a dilated ResNet, pooled over a pyramid of regions (Zhao et al., https://arxiv.org/abs/1612.01105)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.pspnet.backbone import DilatedResNet, Stem


class SegmentationLogits(NamedTuple):
    """Class scores of every pixel; those of the auxiliary branch in training only."""

    main: Float[Tensor, "B K H W"]
    auxiliary: Float[Tensor, "B K H W"] | None


class PSPNet(nn.Module):
    """Classes of pixels from local features and what surrounds them at four scales (section 3.2, figure 3).

    Args:
        blocks, stem, width: see `DilatedResNet`.
        bins: the map is averaged over 1x1, 2x2, 3x3 and 6x6 regions in the paper.
        dropout: of whole channels, before each classifier.
    """

    def __init__(
        self, *, num_classes: int, blocks: list[int], stem: Stem, width: float, bins: list[int], dropout: float
    ) -> None:
        super().__init__()
        self.backbone = DilatedResNet(blocks=blocks, stem=stem, width=width)
        third, fourth = self.backbone.out_channels
        self.pyramid = PyramidPooling(fourth, bins=bins)
        self.head = _head(self.pyramid.out_channels, fourth // 4, num_classes, dropout=dropout)
        self.auxiliary_head = _head(third, third // 4, num_classes, dropout=dropout)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> SegmentationLogits:
        """Scores at the resolution of normalised images of any size.

        A side of 8n + 1 pixels is best: then every point of the map lies on a pixel, and both borders have one.
        """
        size = (image.shape[2], image.shape[3])
        third, fourth = self.backbone(image)
        main = _enlarge(self.head(self.pyramid(fourth)), size)
        auxiliary = _enlarge(self.auxiliary_head(third), size) if self.training else None
        return SegmentationLogits(main, auxiliary)


class PyramidPooling(nn.Module):
    """A map, and beside it its averages over grids of regions (section 3.2).

    Args:
        bins: sides of the grids; each gets an equal part of `in_channels`.

    Raises:
        ValueError: there are no bins, or more than channels; or a single sample is to be trained on, where the
            normalisation of one average over the whole map would leave nothing of it.
    """

    def __init__(self, in_channels: int, *, bins: list[int]) -> None:
        super().__init__()
        if not bins or min(bins) < 1 or len(bins) > in_channels:
            raise ValueError(
                f"bins={bins} for {in_channels} channels: give the sides of grids, such as [1, 2, 3, 6], at most"
                f" {in_channels}"
            )
        channels = in_channels // len(bins)
        self.out_channels = in_channels + len(bins) * channels
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(side),
                nn.Conv2d(in_channels, channels, kernel_size=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            )
            for side in bins
        )

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C2 h w"]:
        if self.training and len(features) == 1:
            raise ValueError(
                "a batch of one image cannot be normalised after pooling; take data.batch_size=2 or more, and"
                " trainer.accumulate_grad_batches for what does not fit into memory"
            )
        size = (features.shape[2], features.shape[3])
        return torch.cat([features, *(_enlarge(level(features), size) for level in self.levels)], dim=1)


def _head(in_channels: int, channels: int, num_classes: int, *, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Dropout2d(dropout),
        nn.Conv2d(channels, num_classes, kernel_size=1),
    )


def _enlarge(values: Float[Tensor, "B C h w"], size: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    """Bilinearly, the outermost values onto the outermost pixels."""
    return F.interpolate(values, size=size, mode="bilinear", align_corners=True)

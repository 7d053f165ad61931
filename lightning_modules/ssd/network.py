"""SSD: boxes and classes from feature maps of several resolutions (https://arxiv.org/abs/1512.02325, section 2.1)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_modules.ssd.default_boxes import boxes_per_cell, make_default_boxes


class SSD(nn.Module):
    """A backbone, and a 3x3 convolution on each of its maps for boxes and one for classes.

    With `VGG16Features` it is SSD300, and names and order of its parameters are those of torchvision's ssd300_vgg16.

    Args:
        backbone: gives feature maps, see `lightning_modules.ssd.backbones`.
        num_classes: of objects, without the background.
        image_size: side in pixels of the images it is made for.
        feature_sizes, scales, steps, aspect_ratios: see `make_default_boxes`.

    Attributes:
        default_boxes_cxcywh: every default box's centre and size, in fractions of the image.
        default_boxes_xyxy: their corners.

    Raises:
        ValueError: there is not one list of aspect ratios for each map of the backbone.
    """

    default_boxes_cxcywh: Float[Tensor, "A 4"]
    default_boxes_xyxy: Float[Tensor, "A 4"]

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_classes: int,
        image_size: int,
        feature_sizes: Sequence[int],
        scales: Sequence[int | float],
        steps: Sequence[int | float] | None,
        aspect_ratios: Sequence[Sequence[int | float]],
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.backbone = backbone
        out_channels: list[int] = backbone.out_channels  # type: ignore[assignment]  # every backbone has them
        if len(out_channels) != len(aspect_ratios):
            raise ValueError(
                f"the backbone gives {len(out_channels)} feature maps, but default_boxes has {len(aspect_ratios)} lists"
                " of aspect_ratios; give one for each map"
            )
        default_boxes = make_default_boxes(
            image_size=image_size, feature_sizes=feature_sizes, scales=scales, steps=steps, aspect_ratios=aspect_ratios
        )
        half_size = default_boxes[:, 2:] / 2
        corners = torch.cat([default_boxes[:, :2] - half_size, default_boxes[:, :2] + half_size], dim=1)
        # They follow from the configuration, so that a checkpoint does without.
        self.register_buffer("default_boxes_cxcywh", default_boxes, persistent=False)
        self.register_buffer("default_boxes_xyxy", corners, persistent=False)
        self.head = SSDHead(out_channels, boxes_per_cell(aspect_ratios), num_outputs=num_classes + 1)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B A 4"], Float[Tensor, "B A K"]]:
        """For every default box its offsets and its class scores (logits), of which the first is the background's.

        Raises:
            ValueError: the image is of a size that gives other feature maps than the default boxes are made for.
        """
        offsets, logits = self.head(self.backbone(image))
        if offsets.shape[1] != len(self.default_boxes_cxcywh):
            height, width = image.shape[-2:]
            raise ValueError(
                f"images of {width} x {height} pixels give {offsets.shape[1]} predictions, but there are"
                f" {len(self.default_boxes_cxcywh)} default boxes, made for {self.image_size} pixels; make image_size"
                " and default_boxes.feature_sizes agree with the backbone"
            )
        return offsets, logits


class SSDHead(nn.Module):
    """The predicting convolutions."""

    def __init__(self, in_channels: Sequence[int], num_boxes: Sequence[int], *, num_outputs: int) -> None:
        super().__init__()
        self.classification_head = MapwiseConvolutions(in_channels, num_boxes, num_outputs=num_outputs)
        self.regression_head = MapwiseConvolutions(in_channels, num_boxes, num_outputs=4)

    def forward(self, maps: list[Float[Tensor, "B _ _ _"]]) -> tuple[Float[Tensor, "B A 4"], Float[Tensor, "B A K"]]:
        return self.regression_head(maps), self.classification_head(maps)


class MapwiseConvolutions(nn.Module):
    """A 3x3 convolution for each map, and its outputs in the order of the default boxes."""

    def __init__(self, in_channels: Sequence[int], num_boxes: Sequence[int], *, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        self.module_list = nn.ModuleList(
            nn.Conv2d(channels, number * num_outputs, kernel_size=3, padding=1)
            for channels, number in zip(in_channels, num_boxes, strict=True)
        )
        for module in self.module_list:
            assert isinstance(module, nn.Conv2d)
            assert module.bias is not None
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, maps: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B A K"]:
        outputs = []
        for convolution, features in zip(self.module_list, maps, strict=True):
            # B, boxes x K, H, W -> B, H x W x boxes, K
            by_cell = convolution(features).permute(0, 2, 3, 1)
            outputs.append(by_cell.unflatten(3, (-1, self.num_outputs)).flatten(start_dim=1, end_dim=3))
        return torch.cat(outputs, dim=1)

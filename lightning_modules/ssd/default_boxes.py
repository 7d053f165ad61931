"""SSD's default boxes, and boxes as offsets from them (https://arxiv.org/abs/1512.02325, section 2.2).

All coordinates are fractions of the image's sides.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import box_convert

# The offsets of centres and of sizes are divided by these, which brings them to a like spread (the authors' code).
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def make_default_boxes(
    *,
    image_size: int,
    feature_sizes: Sequence[int],
    scales: Sequence[int | float],
    steps: Sequence[int | float] | None,
    aspect_ratios: Sequence[Sequence[int | float]],
) -> Float[Tensor, "A 4"]:
    """Centre x, centre y, width and height of every default box, row by row of map after map.

    In a cell come a square of the map's scale, a larger one (the geometric mean of this and the next scale), and for
    each aspect ratio a wide and a tall box of the same area as the first.

    Args:
        feature_sizes: cells along a side of each map.
        scales: of each map, as fractions of the image, and one more for the last map's larger square.
        steps: pixels from cell to cell of each map, where the authors' code departs from the paper's even division of
            the image; None divides evenly.
        aspect_ratios: of each map; 1 is always there, and every ratio stands for its inverse too.

    Raises:
        ValueError: the lists do not agree in length.
    """
    num_maps = len(feature_sizes)
    if (len(scales), len(aspect_ratios)) != (num_maps + 1, num_maps) or len(steps or feature_sizes) != num_maps:
        raise ValueError(
            f"default_boxes: {num_maps} feature_sizes need {num_maps + 1} scales, {num_maps} steps (or null) and"
            f" {num_maps} lists of aspect_ratios; there are {len(scales)}, {len(steps or [])} and {len(aspect_ratios)}"
        )
    maps = []
    for index, num_cells in enumerate(feature_sizes):
        scale, next_scale = scales[index], scales[index + 1]
        sizes = [(scale, scale), (math.sqrt(scale * next_scale),) * 2]
        for ratio in aspect_ratios[index]:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            sizes += [(long, short), (short, long)]
        step = 1 / num_cells if steps is None else steps[index] / image_size
        centre = (torch.arange(num_cells, dtype=torch.float64) + 0.5) * step
        centre_y, centre_x = torch.meshgrid(centre, centre, indexing="ij")
        centres = torch.stack([centre_x, centre_y], dim=-1)[:, :, None].expand(-1, -1, len(sizes), -1)
        # A box may not be larger than the image; its centre may lie beyond (10 x 10 cells, the last row and column).
        size = torch.tensor(sizes, dtype=torch.float64).clamp(max=1).expand_as(centres)
        maps.append(torch.cat([centres, size], dim=-1).flatten(end_dim=2))
    return torch.cat(maps).float()


def boxes_per_cell(aspect_ratios: Sequence[Sequence[int | float]]) -> list[int]:
    """How many default boxes each map has in a cell."""
    return [2 + 2 * len(ratios) for ratios in aspect_ratios]


def encode_boxes(boxes_xyxy: Float[Tensor, "n 4"], default_boxes_cxcywh: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """What the network should say for each box at its default box (equation 2)."""
    boxes_cxcywh = box_convert(boxes_xyxy, "xyxy", "cxcywh")
    centre = (boxes_cxcywh[:, :2] - default_boxes_cxcywh[:, :2]) / default_boxes_cxcywh[:, 2:] / CENTRE_VARIANCE
    size = torch.log(boxes_cxcywh[:, 2:] / default_boxes_cxcywh[:, 2:]) / SIZE_VARIANCE
    return torch.cat([centre, size], dim=1)


def decode_boxes(
    offsets: Float[Tensor, "*B A 4"], default_boxes_cxcywh: Float[Tensor, "A 4"]
) -> Float[Tensor, "*B A 4"]:
    """The boxes, as their corners, that the network says."""
    centre = offsets[..., :2] * CENTRE_VARIANCE * default_boxes_cxcywh[:, 2:] + default_boxes_cxcywh[:, :2]
    half_size = torch.exp(offsets[..., 2:] * SIZE_VARIANCE) * default_boxes_cxcywh[:, 2:] / 2
    return torch.cat([centre - half_size, centre + half_size], dim=-1)

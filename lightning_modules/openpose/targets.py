"""What the maps should show, drawn from joints on the batch's device (https://arxiv.org/abs/1611.08050, section 2).

Cell (column x, row y) of a map is a square of `stride` pixels with its centre at `stride * x + (stride - 1) / 2`.
The authors' code has this for joints but measures fields from the cells' corners, half a cell off; here both agree.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.openpose.skeleton import LIMBS

# The authors' code sets a joint's map to nothing where it is below about 1 % of its peak.
_CUT_EXPONENT = 4.6052


class TargetMaps(NamedTuple):
    """Fields along limbs, maps of joints with the background last, and how much each cell counts, from 0 to 1."""

    fields: Float[Tensor, "B 38 h w"]
    heatmaps: Float[Tensor, "B 19 h w"]
    weight: Float[Tensor, "B 1 h w"]


def draw_targets(
    joints: Float[Tensor, "B G J 3"],
    is_ignored: Bool[Tensor, "B H W"],
    *,
    stride: int,
    sigma: float,
    limb_width: float,
) -> TargetMaps:
    """Target maps of a batch.

    Args:
        joints: (x, y, visibility) in pixels of the image; visibility 0 is drawn nowhere.
        is_ignored: pixels that no loss shall see.
        sigma: of a joint's Gaussian, in pixels; the paper's code has 7 at 368 pixels.
        limb_width: how far a limb reaches to either side of its line, in pixels; the paper's code has 8.
    """
    height, width = is_ignored.shape[1] // stride, is_ignored.shape[2] // stride
    cells = ((joints[..., :2] - (stride - 1) / 2) / stride).float()
    is_labelled = joints[..., 2] > 0
    # Mixed precision is for the network: it would round the product that sums up fields.
    with torch.autocast(joints.device.type, enabled=False):
        heatmaps = draw_heatmaps(cells, is_labelled, height=height, width=width, sigma=sigma / stride)
        fields = draw_fields(cells, is_labelled, height=height, width=width, limb_width=limb_width / stride)
    weight = F.avg_pool2d((~is_ignored).float().unsqueeze(dim=1), kernel_size=stride)
    return TargetMaps(fields, heatmaps, weight)


def draw_heatmaps(
    joint_xy: Float[Tensor, "B G J 2"],
    is_labelled: Bool[Tensor, "B G J"],
    *,
    height: int,
    width: int,
    sigma: float,
) -> Float[Tensor, "B J1 height width"]:
    """A Gaussian of height 1 around each joint, the highest of several people's (equations 6 and 7); all in cells.

    The last map is the background: 1 less the highest joint.
    """
    columns, rows = _cells(joint_xy, height=height, width=width)
    # A Gaussian is one of columns times one of rows: few exponentials for each joint instead of one for each cell. Far
    # away both are nothing before the product: numbers too small to be normal would take it many times as long.
    of_columns = _gaussian(columns - joint_xy[..., :1], sigma=sigma) * is_labelled[..., None]
    of_rows = _gaussian(rows - joint_xy[..., 1:], sigma=sigma)
    heatmaps = (of_rows[..., :, None] * of_columns[..., None, :]).amax(dim=1)
    heatmaps = heatmaps.masked_fill_(heatmaps < math.exp(-_CUT_EXPONENT), 0.0)
    background = 1 - heatmaps.amax(dim=1, keepdim=True)
    return torch.cat([heatmaps, background], dim=1)


def _gaussian(distance: Float[Tensor, "B G J n"], *, sigma: float) -> Float[Tensor, "B G J n"]:
    exponent = distance**2 / (2 * sigma**2)
    return torch.exp(-exponent.masked_fill_(exponent > _CUT_EXPONENT, torch.inf))


def draw_fields(
    joint_xy: Float[Tensor, "B G J 2"],
    is_labelled: Bool[Tensor, "B G J"],
    *,
    height: int,
    width: int,
    limb_width: float,
) -> Float[Tensor, "B P2 height width"]:
    """The limb's unit vector in the cells along it, the mean over people who share one (equations 8, 9); in cells.

    A cell belongs to a limb if it is nearer than `limb_width` to the limb's line and within the limb's bounding box
    enlarged by as much, in whole cells: so the authors' code, while the paper ends a limb at its joints, which leaves
    one shorter than a cell without any.
    """
    columns, rows = _cells(joint_xy, height=height, width=width)
    starts, ends = [limb.start for limb in LIMBS], [limb.end for limb in LIMBS]
    # Limbs before people, who are then summed up by one product of matrices.
    by_joint, is_known = joint_xy.transpose(1, 2), is_labelled.transpose(1, 2)
    start, end = by_joint[:, starts], by_joint[:, ends]
    length = torch.linalg.vector_norm(end - start, dim=-1, keepdim=True)
    is_drawn = (is_known[:, starts] & is_known[:, ends]).unsqueeze(dim=-1) & (length > 0)
    zero, far = torch.zeros_like(length[:1, :1, :1]), torch.full_like(length[:1, :1, :1], torch.inf)
    unit = torch.where(is_drawn, (end - start) / length, zero)
    low = torch.round(torch.minimum(start, end) - limb_width)
    high = torch.round(torch.maximum(start, end) + limb_width)
    # The distance from the line is the cross product of the unit vector and the way from the start to the cell. Outside
    # of the box it is made infinite, or not a number, which is never less than the limb's width.
    in_columns = (columns >= low[..., :1]) & (columns < high[..., :1]) & is_drawn
    in_rows = (rows >= low[..., 1:]) & (rows < high[..., 1:])
    from_columns = torch.where(in_columns, (columns - start[..., :1]) * unit[..., 1:], far)
    from_rows = torch.where(in_rows, (rows - start[..., 1:]) * unit[..., :1], far)
    is_inside = (from_rows[..., :, None] - from_columns[..., None, :]).abs_() < limb_width
    with_count = torch.cat([unit, torch.ones_like(length)], dim=-1).transpose(2, 3)
    total = with_count @ is_inside.flatten(start_dim=3).to(unit.dtype)
    mean: Tensor = total[:, :, :2] * total[:, :, 2:].clamp_(min=1).reciprocal_()
    return mean.reshape(len(mean), -1, height, width)


def _cells(
    joint_xy: Float[Tensor, "B G J 2"], *, height: int, width: int
) -> tuple[Float[Tensor, " width"], Float[Tensor, " height"]]:
    columns = torch.arange(width, device=joint_xy.device, dtype=joint_xy.dtype)
    return columns, torch.arange(height, device=joint_xy.device, dtype=joint_xy.dtype)

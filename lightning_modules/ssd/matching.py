"""Which default box is to find which object (SSD, https://arxiv.org/abs/1512.02325, section 2.2)."""

import heapq

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def match_default_boxes(
    boxes_xyxy: Float[Tensor, "G 4"], default_boxes_xyxy: Float[Tensor, "A 4"], *, iou_threshold: float
) -> Int64[Tensor, " A"]:
    """For every default box the row of its object, or -1.

    It is the object that it overlaps most, if they overlap enough; and every object has a default box to itself, even
    if they overlap less.
    """
    if len(boxes_xyxy) == 0:
        return torch.full((len(default_boxes_xyxy),), -1, dtype=torch.int64, device=default_boxes_xyxy.device)
    iou = _overlaps(boxes_xyxy, default_boxes_xyxy)
    # Which object is asked for where there is one only: a maximum with its place costs ten times one without.
    overlapping = torch.nonzero(iou.amax(dim=0) >= iou_threshold)[:, 0]
    matched = torch.full((len(default_boxes_xyxy),), -1, dtype=torch.int64, device=iou.device)
    matched[overlapping] = iou[:, overlapping].argmax(dim=0)
    matched[_claims(iou)] = torch.arange(len(boxes_xyxy), device=iou.device)
    return matched


def _overlaps(boxes_xyxy: Float[Tensor, "G 4"], others_xyxy: Float[Tensor, "A 4"]) -> Float[Tensor, "G A"]:
    """Intersection over union of every pair.

    torchvision's box_iou, with each coordinate in a row of its own: half the time on a CPU, where G is small.
    """
    left, top, right, bottom = boxes_xyxy[:, :, None].unbind(dim=1)
    other_left, other_top, other_right, other_bottom = others_xyxy.t().contiguous().unbind(dim=0)
    width = (torch.minimum(right, other_right) - torch.maximum(left, other_left)).clamp_(min=0)
    height = (torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)).clamp_(min=0)
    intersection = width.mul_(height)
    areas = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
    return intersection / areas.sub_(intersection)


def _claims(iou: Float[Tensor, "G A"]) -> Int64[Tensor, " G"]:
    """For each object a default box of its own, the best pairs first (bipartite matching).

    Nearly always every object has its best; one that comes too late looks again among those that are free.
    """
    best = iou.max(dim=1)
    queue = [(-value, row, column) for row, (value, column) in enumerate(zip(*map(Tensor.tolist, best), strict=True))]
    heapq.heapify(queue)
    claimed: dict[int, int] = {}
    while queue:
        _, row, column = heapq.heappop(queue)
        if column in claimed:
            free = iou[row].clone()
            free[list(claimed)] = -1
            column = int(free.argmax())
            heapq.heappush(queue, (-float(free[column]), row, column))
        else:
            claimed[column] = row
    columns = sorted(claimed, key=claimed.__getitem__)
    return torch.tensor(columns, device=iou.device)

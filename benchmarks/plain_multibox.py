"""SSD's loss and decoding image by image, as textbooks write them with torch: what the model's own code is measured by.

Matching and encoding go image by image, hard negatives are ranked by sorting twice, and suppression keeps one box at a
time, class by class. Numbers and order of the steps are those of the paper.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

VARIANCES = (0.1, 0.2)


def overlaps(boxes: Tensor, defaults: Tensor) -> Tensor:
    """Intersection over union, a row for each box."""
    num_boxes, num_defaults = len(boxes), len(defaults)
    upper = torch.min(
        boxes[:, 2:].unsqueeze(1).expand(num_boxes, num_defaults, 2),
        defaults[:, 2:].unsqueeze(0).expand(num_boxes, num_defaults, 2),
    )
    lower = torch.max(
        boxes[:, :2].unsqueeze(1).expand(num_boxes, num_defaults, 2),
        defaults[:, :2].unsqueeze(0).expand(num_boxes, num_defaults, 2),
    )
    sides = (upper - lower).clamp(min=0)
    common = sides[:, :, 0] * sides[:, :, 1]
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).unsqueeze(1).expand_as(common)
    default_area = ((defaults[:, 2] - defaults[:, 0]) * (defaults[:, 3] - defaults[:, 1])).unsqueeze(0)
    return common / (area + default_area.expand_as(common) - common)


def targets_of_image(boxes: Tensor, label: Tensor, defaults_cxcywh: Tensor) -> tuple[Tensor, Tensor]:
    """For every default box its offsets and its class, 0 where it has no object."""
    half = defaults_cxcywh[:, 2:] / 2
    corners = torch.cat([defaults_cxcywh[:, :2] - half, defaults_cxcywh[:, :2] + half], dim=1)
    table = overlaps(boxes, corners)
    best_default = table.max(dim=1).indices
    best_overlap, best_box = table.max(dim=0)
    best_overlap.index_fill_(0, best_default, 2.0)
    for row in range(len(best_default)):
        best_box[best_default[row]] = row
    matched = boxes[best_box]
    classes = label[best_box] + 1
    classes[best_overlap < 0.5] = 0
    centre = (matched[:, :2] + matched[:, 2:]) / 2 - defaults_cxcywh[:, :2]
    centre = centre / (VARIANCES[0] * defaults_cxcywh[:, 2:])
    size = torch.log((matched[:, 2:] - matched[:, :2]) / defaults_cxcywh[:, 2:]) / VARIANCES[1]
    return torch.cat([centre, size], dim=1), classes


def multibox_loss(
    offsets: Tensor, logits: Tensor, defaults_cxcywh: Tensor, boxes: list[Tensor], label: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The localisation and the classification term, three negatives for a positive."""
    num_images, num_defaults, num_outputs = logits.shape
    offset_target = torch.zeros(num_images, num_defaults, 4)
    class_target = torch.zeros(num_images, num_defaults, dtype=torch.int64)
    for row in range(num_images):
        offset_target[row], class_target[row] = targets_of_image(boxes[row], label[row], defaults_cxcywh)
    is_positive = class_target > 0
    num_positives = is_positive.sum(dim=1, keepdim=True)
    of_positives = is_positive.unsqueeze(2).expand_as(offsets)
    localization = F.smooth_l1_loss(
        offsets[of_positives].view(-1, 4), offset_target[of_positives].view(-1, 4), reduction="sum"
    )
    each = F.cross_entropy(logits.view(-1, num_outputs), class_target.view(-1), reduction="none")
    each = each.view(num_images, num_defaults)
    each[is_positive] = 0
    rank = each.sort(dim=1, descending=True).indices.sort(dim=1).indices
    is_negative = rank < (3 * num_positives).clamp(max=num_defaults).expand_as(rank)
    chosen = (is_positive | is_negative).unsqueeze(2).expand_as(logits)
    classification = F.cross_entropy(
        logits[chosen].view(-1, num_outputs), class_target[is_positive | is_negative], reduction="sum"
    )
    total = num_positives.sum()
    return localization / total, classification / total


def suppress(boxes: Tensor, scores: Tensor, *, nms_iou: float, candidates: int) -> list[int]:
    """Rows of the boxes that stay, the surest first."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = scores.sort(descending=True).indices[:candidates]
    kept = []
    while len(order) > 0:
        best, order = order[0], order[1:]
        kept.append(int(best))
        if len(order) == 0:
            break
        others = boxes[order]
        left, top = others[:, 0].clamp(min=float(boxes[best, 0])), others[:, 1].clamp(min=float(boxes[best, 1]))
        right, bottom = others[:, 2].clamp(max=float(boxes[best, 2])), others[:, 3].clamp(max=float(boxes[best, 3]))
        common = (right - left).clamp(min=0) * (bottom - top).clamp(min=0)
        order = order[common / (areas[order] + areas[best] - common) <= nms_iou]
    return kept


def detections(
    offsets: Tensor, logits: Tensor, defaults_cxcywh: Tensor, *, score_threshold: float, nms_iou: float, candidates: int
) -> list[list[tuple[Tensor, Tensor]]]:
    """For each image and class the scores and boxes that stay."""
    probability = logits.softmax(dim=2)
    found = []
    for row in range(len(offsets)):
        centre = defaults_cxcywh[:, :2] + offsets[row, :, :2] * VARIANCES[0] * defaults_cxcywh[:, 2:]
        size = defaults_cxcywh[:, 2:] * torch.exp(offsets[row, :, 2:] * VARIANCES[1])
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=1).clamp(0, 1)
        of_image = []
        for label in range(1, probability.shape[2]):
            scores = probability[row, :, label]
            is_likely = scores > score_threshold
            likely = boxes[is_likely.unsqueeze(1).expand_as(boxes)].view(-1, 4)
            kept = suppress(likely, scores[is_likely], nms_iou=nms_iou, candidates=candidates)
            of_image.append((scores[is_likely][kept], likely[kept]))
        found.append(of_image)
    return found

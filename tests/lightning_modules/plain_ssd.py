"""SSD's loss and decoding box by box, in plain loops: slow, and easy to believe."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes given by their corners."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def corners(box_cxcywh: list[float]) -> list[float]:
    """Left, top, right, bottom."""
    x, y, width, height = box_cxcywh
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def matches(boxes_xyxy: list[list[float]], defaults_cxcywh: list[list[float]], *, iou_threshold: float) -> list[int]:
    """For each default box its object or -1; objects claim their best default box, the best pairs first."""
    table = [[overlap(box, corners(default)) for default in defaults_cxcywh] for box in boxes_xyxy]
    matched = []
    for column in range(len(defaults_cxcywh)):
        best = max(range(len(boxes_xyxy)), key=lambda row: table[row][column], default=-1)
        matched.append(best if best >= 0 and table[best][column] >= iou_threshold else -1)
    free_rows, free_columns = set(range(len(boxes_xyxy))), set(range(len(defaults_cxcywh)))
    while free_rows:
        row, column = max(((r, c) for r in free_rows for c in free_columns), key=lambda pair: table[pair[0]][pair[1]])
        matched[column] = row
        free_rows.remove(row)
        free_columns.remove(column)
    return matched


def offsets_of(box_xyxy: list[float], default_cxcywh: list[float]) -> list[float]:
    """Equation 2 of the paper, with variances 0.1 and 0.2."""
    x, y, width, height = default_cxcywh
    left, top, right, bottom = box_xyxy
    return [
        ((left + right) / 2 - x) / width / 0.1,
        ((top + bottom) / 2 - y) / height / 0.1,
        math.log((right - left) / width) / 0.2,
        math.log((bottom - top) / height) / 0.2,
    ]


def multibox_loss(
    offsets: Tensor, logits: Tensor, defaults_cxcywh: Tensor, boxes_xyxy: list[Tensor], label: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The localisation and the classification term with three negatives for a positive."""
    localization, classification, num_positives = [], [], 0
    for row in range(len(offsets)):
        matched = matches(boxes_xyxy[row].tolist(), defaults_cxcywh.tolist(), iou_threshold=0.5)
        negatives, of_image = [], 0
        for box, found in enumerate(matched):
            if found < 0:
                negatives.append(-F.log_softmax(logits[row, box], dim=0)[0])
                continue
            of_image += 1
            target = offsets_of(boxes_xyxy[row][found].tolist(), defaults_cxcywh[box].tolist())
            localization.append(F.smooth_l1_loss(offsets[row, box], torch.tensor(target), reduction="sum"))
            classification.append(-F.log_softmax(logits[row, box], dim=0)[int(label[row][found]) + 1])
        worst = sorted(negatives, key=lambda value: float(value.detach()), reverse=True)[: 3 * of_image]
        classification += worst
        num_positives += of_image
    return torch.stack(localization).sum() / num_positives, torch.stack(classification).sum() / num_positives


def detections(
    offsets: Tensor, logits: Tensor, defaults_cxcywh: Tensor, *, score_threshold: float, nms_iou: float, candidates: int
) -> list[tuple[int, float, list[float]]]:
    """Class, score and box of one image, class by class and box by box, the surest first."""
    probability = logits.softmax(dim=1)
    found = []
    for label in range(1, logits.shape[1]):
        order = sorted(range(len(logits)), key=lambda box: float(probability[box, label]), reverse=True)
        kept: list[list[float]] = []
        for box in order[:candidates]:
            score = float(probability[box, label])
            if score <= score_threshold:
                break
            x, y, width, height = defaults_cxcywh[box].tolist()
            dx, dy, dw, dh = offsets[box].tolist()
            centre_and_size = [x + 0.1 * dx * width, y + 0.1 * dy * height]
            centre_and_size += [width * math.exp(0.2 * dw), height * math.exp(0.2 * dh)]
            candidate = [min(1.0, max(0.0, value)) for value in corners(centre_and_size)]
            if all(overlap(candidate, other) <= nms_iou for other in kept):
                kept.append(candidate)
                found.append((label - 1, score, candidate))
    return sorted(found, key=lambda entry: entry[1], reverse=True)

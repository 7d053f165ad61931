"""From a network's outputs to boxes, classes and scores (SSD, https://arxiv.org/abs/1512.02325, section 3)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import batched_nms

from lightning_modules.ssd.default_boxes import decode_boxes


class Detections(NamedTuple):
    """What was found in an image, the surest first; boxes are fractions of its sides, labels count from 0."""

    boxes_xyxy: Float[Tensor, "n 4"]
    score: Float[Tensor, " n"]
    label: Int64[Tensor, " n"]


def detect(
    offsets: Float[Tensor, "B A 4"],
    logits: Float[Tensor, "B A K"],
    default_boxes_cxcywh: Float[Tensor, "A 4"],
    *,
    score_threshold: float,
    nms_iou: float,
    candidates_per_class: int,
    detections_per_image: int,
) -> list[Detections]:
    """The detections of each image.

    Args:
        score_threshold: boxes of a class with a lower probability are none of it.
        nms_iou: of two boxes of a class that overlap more than this, the less sure goes (non-maximum suppression).
        candidates_per_class: so many boxes of each class, the surest, take part in that.
        detections_per_image: so many, the surest, are kept in the end.
    """
    boxes_xyxy = decode_boxes(offsets.float(), default_boxes_cxcywh.float()).clamp(min=0, max=1)
    # B, A, K -> B, K, A, without the background.
    probability = logits.float().softmax(dim=2)[:, :, 1:].transpose(1, 2).contiguous()
    top = probability.topk(min(candidates_per_class, probability.shape[2]), dim=2)
    is_candidate = top.values > score_threshold
    found = []
    for boxes, scores, indices, chosen in zip(boxes_xyxy, top.values, top.indices, is_candidate, strict=True):
        label = torch.nonzero(chosen)[:, 0]
        candidates, score = boxes[indices[chosen]], scores[chosen]
        kept = batched_nms(candidates, score, label, nms_iou)[:detections_per_image]
        found.append(Detections(candidates[kept], score[kept], label[kept]))
    return found

"""SSD's training objective (https://arxiv.org/abs/1512.02325, equations 1 to 3), and two later ones in its place."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from lightning_modules.ssd.default_boxes import decode_boxes, encode_boxes
from lightning_modules.ssd.matching import match_default_boxes

CLASSIFICATIONS = ("hard_negatives", "focal")
LOCALIZATIONS = ("smooth_l1", "giou")

# Of objects against background, and of what is right already (https://arxiv.org/abs/1708.02002, section 4.1).
_FOCAL_ALPHA = 0.25
_FOCAL_GAMMA = 2.0


class MultiBoxTerms(NamedTuple):
    """The two terms of the objective, each divided by the number of default boxes that have an object."""

    localization: Float[Tensor, ""]
    classification: Float[Tensor, ""]


class Targets(NamedTuple):
    """What default boxes should say: a class (0 is the background), and where it is another one, which box."""

    label: Int64[Tensor, "B A"]
    image_row: Int64[Tensor, " P"]
    default_box: Int64[Tensor, " P"]
    boxes_xyxy: Float[Tensor, "P 4"]


class MultiBoxLoss(nn.Module):
    """How far offsets and class scores are from the objects that their default boxes are matched with.

    Args:
        iou_threshold: the least overlap of a default box and its object; the paper's is 0.5.
        classification: `hard_negatives` is the paper's cross-entropy over the default boxes that have an object and the
            worst of those that have none; `focal` takes all, those that are right weighing little.
        negatives_per_positive: of `hard_negatives`, in each image; the paper's is 3.
        localization: `smooth_l1` of the offsets is the paper's; `giou` is 1 minus the generalised overlap
            (https://arxiv.org/abs/1902.09630).

    Raises:
        ValueError: there is no such term.
    """

    def __init__(
        self,
        *,
        iou_threshold: float,
        classification: str,
        negatives_per_positive: int,
        localization: str,
    ) -> None:
        super().__init__()
        for name, value, choices in (
            ("classification", classification, CLASSIFICATIONS),
            ("localization", localization, LOCALIZATIONS),
        ):
            if value not in choices:
                raise ValueError(f"loss.{name}={value} is unknown; choose one of {', '.join(choices)}")
        self.iou_threshold = iou_threshold
        self.classification = classification
        self.negatives_per_positive = negatives_per_positive
        self.localization = localization

    def forward(
        self,
        offsets: Float[Tensor, "B A 4"],
        logits: Float[Tensor, "B A K"],
        default_boxes_cxcywh: Float[Tensor, "A 4"],
        default_boxes_xyxy: Float[Tensor, "A 4"],
        *,
        boxes_xyxy: list[Float[Tensor, "_ 4"]],
        label: list[Int64[Tensor, " _"]],
    ) -> MultiBoxTerms:
        """Both terms; boxes are fractions of the image, labels count from 0 without a background."""
        targets = assign_targets(boxes_xyxy, label, default_boxes_xyxy, iou_threshold=self.iou_threshold)
        # A batch without objects still has a background to learn.
        num_positives = max(1, len(targets.image_row))
        said = offsets[targets.image_row, targets.default_box].float()
        near = default_boxes_cxcywh[targets.default_box]
        if self.localization == "smooth_l1":
            localization = F.smooth_l1_loss(said, encode_boxes(targets.boxes_xyxy, near), reduction="sum")
        else:
            localization = generalized_box_iou_loss(decode_boxes(said, near), targets.boxes_xyxy, reduction="sum")
        if self.classification == "hard_negatives":
            classification = hard_negatives_loss(
                logits.float(), targets.label, negatives_per_positive=self.negatives_per_positive
            )
        else:
            classification = focal_loss(logits.float(), targets.label)
        return MultiBoxTerms(localization / num_positives, classification / num_positives)


def assign_targets(
    boxes_xyxy: list[Float[Tensor, "_ 4"]],
    label: list[Int64[Tensor, " _"]],
    default_boxes_xyxy: Float[Tensor, "A 4"],
    *,
    iou_threshold: float,
) -> Targets:
    """Match image by image (padding all to the most objects costs 7 times as much at 10 objects), the rest at once."""
    rows = [match_default_boxes(boxes, default_boxes_xyxy, iou_threshold=iou_threshold) for boxes in boxes_xyxy]
    matched = torch.stack(rows)
    image_row, default_box = torch.nonzero(matched >= 0, as_tuple=True)
    first_object = torch.tensor([0, *(len(boxes) for boxes in boxes_xyxy[:-1])], device=matched.device).cumsum(dim=0)
    objects = matched[image_row, default_box] + first_object[image_row]
    labels = torch.zeros_like(matched)
    labels[image_row, default_box] = torch.cat(label)[objects] + 1
    return Targets(labels, image_row, default_box, torch.cat(boxes_xyxy)[objects])


def hard_negatives_loss(
    logits: Float[Tensor, "B A K"], label: Int64[Tensor, "B A"], *, negatives_per_positive: int
) -> Float[Tensor, ""]:
    """Cross-entropy summed over all positives and, in each image, so many times as many of the worst negatives.

    Which negatives are the worst is found without a gradient, image by image: a whole batch's scores are too many for a
    processor's cache. Only those chosen are computed with a gradient.
    """
    is_positive = label > 0
    flat_logits, flat_label = logits.flatten(end_dim=1), label.flatten()
    with torch.no_grad():
        each = torch.stack([F.cross_entropy(*image, reduction="none") for image in zip(logits, label, strict=True)])
        each.masked_fill_(is_positive, -1)
        num_negatives = negatives_per_positive * is_positive.sum(dim=1)
        worst = each.topk(min(int(num_negatives.max()), each.shape[1]), dim=1)
        # Where the negatives run out, positives come last.
        is_taken = torch.arange(worst.values.shape[1], device=label.device) < num_negatives[:, None]
        is_taken &= worst.values >= 0
        image_start = torch.arange(len(label), device=label.device)[:, None] * label.shape[1]
        chosen = torch.cat([torch.nonzero(is_positive.flatten())[:, 0], (worst.indices + image_start)[is_taken]])
    return F.cross_entropy(flat_logits[chosen], flat_label[chosen], reduction="sum")


def focal_loss(logits: Float[Tensor, "B A K"], label: Int64[Tensor, "B A"]) -> Float[Tensor, ""]:
    """Lin et al., https://arxiv.org/abs/1708.02002, equation 5, summed over all default boxes.

    The paper gives every class a sigmoid of its own; here the classes and the background share a softmax, so that the
    network and its decoding stay SSD's.
    """
    cross_entropy = F.cross_entropy(logits.flatten(end_dim=1), label.flatten(), reduction="none")
    probability = torch.exp(-cross_entropy)
    weight = torch.where(label.flatten() > 0, _FOCAL_ALPHA, 1 - _FOCAL_ALPHA)
    return (weight * (1 - probability) ** _FOCAL_GAMMA * cross_entropy).sum()

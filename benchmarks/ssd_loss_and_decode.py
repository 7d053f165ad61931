"""SSD300's matching with its loss, and its decoding with suppression, against loops over images and torchvision's."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.models.detection import ssd300_vgg16
from torchvision.ops import box_iou

from benchmarks import plain_multibox
from benchmarks.measuring import Figure, compare
from lightning_modules.ssd.default_boxes import make_default_boxes
from lightning_modules.ssd.detections import detect
from lightning_modules.ssd.multibox_loss import MultiBoxLoss

ROUNDS = 9
NUM_CLASSES = 20
DEFAULTS = make_default_boxes(
    image_size=300,
    feature_sizes=[38, 19, 10, 5, 3, 1],
    scales=[0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05],
    steps=[8, 16, 32, 64, 100, 300],
    aspect_ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
)
CORNERS = torch.cat([DEFAULTS[:, :2] - DEFAULTS[:, 2:] / 2, DEFAULTS[:, :2] + DEFAULTS[:, 2:] / 2], dim=1)
SUPPRESSION = {"score_threshold": 0.01, "nms_iou": 0.45}
CANDIDATES = 200


class Batch(NamedTuple):
    """A network's outputs, and the objects of each image."""

    offsets: Tensor
    logits: Tensor
    boxes_xyxy: list[Tensor]
    label: list[Tensor]


def make_batch(*, batch_size: int, objects: int) -> Batch:
    """Outputs as of an untrained network, and objects of 15 to 180 pixels."""
    torch.manual_seed(0)
    size = 0.05 + 0.55 * torch.rand(batch_size, objects, 2)
    corner = torch.rand(batch_size, objects, 2) * (1 - size)
    return Batch(
        0.5 * torch.randn(batch_size, len(DEFAULTS), 4),
        0.5 * torch.randn(batch_size, len(DEFAULTS), NUM_CLASSES + 1),
        list(torch.cat([corner, corner + size], dim=2)),
        list(torch.randint(NUM_CLASSES, (batch_size, objects))),
    )


def loops_loss(batch: Batch) -> tuple[Tensor, Tensor]:
    """The loop's terms."""
    return plain_multibox.multibox_loss(batch.offsets, batch.logits, DEFAULTS, batch.boxes_xyxy, batch.label)


def our_loss() -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """The model's own terms."""
    loss = MultiBoxLoss(
        iou_threshold=0.5, classification="hard_negatives", negatives_per_positive=3, localization="smooth_l1"
    )

    def terms(batch: Batch) -> tuple[Tensor, Tensor]:
        computed = loss(batch.offsets, batch.logits, DEFAULTS, CORNERS, boxes_xyxy=batch.boxes_xyxy, label=batch.label)
        return computed.localization, computed.classification

    return terms


def torchvisions_loss() -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """Matching and terms of torchvision's SSD."""
    with torch.device("meta"):
        model = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1)

    def terms(batch: Batch) -> tuple[Tensor, Tensor]:
        # It measures boxes in pixels; fractions are the same to it.
        matched = [model.proposal_matcher(box_iou(boxes, CORNERS)) for boxes in batch.boxes_xyxy]
        targets = [{"boxes": b, "labels": k + 1} for b, k in zip(batch.boxes_xyxy, batch.label, strict=True)]
        outputs = {"bbox_regression": batch.offsets, "cls_logits": batch.logits}
        computed = model.compute_loss(targets, outputs, [CORNERS] * len(matched), matched)
        return computed["bbox_regression"], computed["classification"]

    return terms


def _seconds_of_loss(terms: Callable[[Batch], tuple[Tensor, Tensor]], batch: Batch) -> float:
    fresh = batch._replace(offsets=batch.offsets.requires_grad_(), logits=batch.logits.requires_grad_())
    fresh.offsets.grad = fresh.logits.grad = None
    started = time.perf_counter()
    localization, classification = terms(fresh)
    (localization + classification).backward()  # type: ignore[no-untyped-call]  # torch's own
    return time.perf_counter() - started


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure() -> dict[str, list[Figure]]:
    """Seconds on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    losses = {"loop over images": loops_loss, "firsthand": our_loss(), "torchvision": torchvisions_loss()}
    figures = {}
    for objects in (3, 10):
        crowd = make_batch(batch_size=32, objects=objects)
        figures[f"SSD300 loss, forward and backward, batch 32, {objects} objects an image"] = compare(
            {name: partial(_seconds_of_loss, terms, crowd) for name, terms in losses.items()}, rounds=ROUNDS
        )
    batch = make_batch(batch_size=8, objects=1)
    figures["SSD300 decoding and suppression, batch 8, untrained"] = compare(
        {
            "loop over images and classes": lambda: _seconds(lambda: loops_detections(batch)),
            "firsthand": lambda: _seconds(lambda: our_detections(batch)),
        },
        rounds=ROUNDS,
    )
    torch.set_num_threads(threads)
    return figures


@torch.no_grad()
def loops_detections(batch: Batch) -> list[list[tuple[Tensor, Tensor]]]:
    """The loop's detections, class by class."""
    return plain_multibox.detections(batch.offsets, batch.logits, DEFAULTS, candidates=CANDIDATES, **SUPPRESSION)


@torch.no_grad()
def our_detections(batch: Batch) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The model's own: all of a class's candidates that stay, as the loop has them."""
    return [
        (found.boxes_xyxy, found.score, found.label)
        for found in detect(
            batch.offsets,
            batch.logits,
            DEFAULTS,
            candidates_per_class=CANDIDATES,
            detections_per_image=CANDIDATES * NUM_CLASSES,
            **SUPPRESSION,
        )
    ]


if __name__ == "__main__":
    for what, variants in measure().items():
        for figure in variants:
            print(f"{what} | {figure['variant']} | {figure['median_s'] * 1e3:.1f} ms | {1 / figure['ratio']:.2f} x")

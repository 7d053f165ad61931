"""Mean average precision as PASCAL VOC counts it, and beside it as COCO does."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_iou

from datamodules.batches import DetectionBatch
from lightning_modules.ssd.detections import Detections


class VOCAveragePrecision(Metric):
    """Average precision at an overlap of 0.5, the mean over classes (VOC 2012 development kit, section 3.4.1).

    A detection is compared with the object of its class that it overlaps most. It is right if they overlap enough and
    no surer detection has found that object; if the object is difficult, the detection does not count at all. Classes
    without an object that counts have no precision; without any class the result is -1.
    """

    full_state_update = False
    score: list[Tensor]
    label: list[Tensor]
    is_right: list[Tensor]
    num_objects: Tensor

    def __init__(self, *, num_classes: int, iou_threshold: float = 0.5) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.iou_threshold = iou_threshold
        for name in ("score", "label", "is_right"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.add_state("num_objects", default=torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        found: Detections,
        boxes_xyxy: Float[Tensor, "G 4"],
        label: Int64[Tensor, " G"],
        is_difficult: Bool[Tensor, " G"],
    ) -> None:
        """Take in an image; boxes are in the detections' units."""
        order = found.score.argsort(descending=True, stable=True)
        found = Detections(found.boxes_xyxy[order], found.score[order], found.label[order])
        is_right, counts = _judge(found, boxes_xyxy, label, is_difficult, iou_threshold=self.iou_threshold)
        self.score.append(found.score[counts])
        self.label.append(found.label[counts])
        self.is_right.append(is_right[counts])
        self.num_objects += torch.bincount(label[~is_difficult], minlength=self.num_classes)

    def compute(self) -> dict[str, Tensor]:
        """`map_50`, the area under the precision envelope (VOC 2010 on), and `map_50_11_points` (VOC 2007)."""
        score, label, is_right = (_joined(state) for state in (self.score, self.label, self.is_right))
        areas, elevens = [], []
        for index, number in enumerate(self.num_objects.tolist()):
            if number == 0:
                continue
            of_class = label == index
            order = score[of_class].argsort(descending=True, stable=True)
            right = is_right[of_class][order].double().cumsum(dim=0)
            recall = right / number
            precision = right / torch.arange(1, len(right) + 1, device=right.device)
            areas.append(area_under_envelope(recall, precision))
            elevens.append(mean_at_eleven_recalls(recall, precision))
        mean = {"map_50": areas, "map_50_11_points": elevens}
        none = torch.tensor(-1.0, device=self.num_objects.device)
        return {name: torch.stack(values).mean().float() if values else none for name, values in mean.items()}


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    # After processes were brought together, a list is one tensor.
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.zeros(0)


def _judge(
    found: Detections,
    boxes_xyxy: Float[Tensor, "G 4"],
    label: Int64[Tensor, " G"],
    is_difficult: Bool[Tensor, " G"],
    *,
    iou_threshold: float,
) -> tuple[Bool[Tensor, " n"], Bool[Tensor, " n"]]:
    """For each detection, the surest first: whether it is right, and whether it counts."""
    num_found = len(found.score)
    nothing = torch.zeros(num_found, dtype=torch.bool, device=found.score.device)
    if len(boxes_xyxy) == 0 or num_found == 0:
        return nothing, ~nothing
    iou = box_iou(found.boxes_xyxy, boxes_xyxy).where(found.label[:, None] == label, -1)
    best_iou, best_object = iou.max(dim=1)
    hits = best_iou >= iou_threshold
    place = torch.arange(num_found, device=hits.device)
    # The first place at which each object is hit.
    first = torch.full((len(label),), num_found, device=hits.device)
    first = first.scatter_reduce(0, best_object, place.where(hits, num_found), reduce="amin")
    is_ignored = hits & is_difficult[best_object]
    return hits & (first[best_object] == place), ~is_ignored


def area_under_envelope(recall: Float[Tensor, " n"], precision: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The area under the least falling curve above a precision-recall curve."""
    envelope = precision.flip(0).cummax(dim=0).values.flip(0)
    steps = torch.diff(recall, prepend=recall.new_zeros(1))
    return (steps * envelope).sum()


def mean_at_eleven_recalls(recall: Float[Tensor, " n"], precision: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """The best precision at a recall of at least 0, 0.1, ..., 1, and the mean of these."""
    levels = torch.arange(11, device=recall.device, dtype=recall.dtype)[:, None] / 10
    # Recalls are fractions of integers: 3 of 10 is 0.3, whatever the last bit.
    reached = recall >= levels - 1e-9
    return (precision * reached).amax(dim=1).mean() if len(recall) > 0 else recall.new_zeros(())


class DetectionScores(nn.Module):
    """VOC's two figures and COCO's mean over overlaps of 0.5 to 0.95 (`map`), over the images of a split.

    COCO has no difficult objects. They stand here as its crowds: finding one is neither right nor wrong.
    """

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.voc = VOCAveragePrecision(num_classes=num_classes)
        # torchmetrics reads numbers out of tensors that it makes, which a device without memory does not allow.
        with torch.device("cpu"):
            self.coco = MeanAveragePrecision()
        self.coco.warn_on_many_detections = False

    def update(self, found: list[Detections], batch: DetectionBatch) -> None:
        """Take in a batch."""
        # COCO's tools take pixels.
        height, width = batch.image.shape[-2:]
        sides = torch.tensor([width, height, width, height], device=batch.image.device)
        for detections, boxes_xyxy, label, is_difficult in zip(
            found, batch.boxes_xyxy, batch.label, batch.is_difficult, strict=True
        ):
            in_pixels = detections._replace(boxes_xyxy=detections.boxes_xyxy * sides)
            self.voc.update(in_pixels, boxes_xyxy, label, is_difficult)
            self.coco.update(
                [{"boxes": in_pixels.boxes_xyxy, "scores": in_pixels.score, "labels": in_pixels.label}],
                [{"boxes": boxes_xyxy, "labels": label, "iscrowd": is_difficult.long()}],
            )

    def compute(self) -> dict[str, Tensor]:
        """`map_50`, `map_50_11_points` and `map`."""
        return {**self.voc.compute(), "map": self.coco.compute()["map"]}

    def reset(self) -> None:
        """Start anew."""
        self.voc.reset()
        self.coco.reset()

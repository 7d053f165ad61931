"""Mean average precision against a plain evaluation, worked examples, and torchmetrics'."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from datamodules.batches import DetectionBatch
from lightning_modules.ssd.average_precision import DetectionScores, VOCAveragePrecision
from lightning_modules.ssd.detections import Detections
from tests.lightning_modules.plain_ssd import overlap


class Picture(NamedTuple):
    found: Detections
    boxes_xyxy: Tensor
    label: Tensor
    is_difficult: Tensor


def random_picture(*, num_classes: int, difficult: float) -> Picture:
    """Objects, and detections that are near them, doubled, of another class, or nowhere."""
    number = int(torch.randint(0, 6, ()))
    corner, size = 60 * torch.rand(number, 2), 10 + 30 * torch.rand(number, 2)
    boxes = torch.cat([corner, corner + size], dim=1)
    label = torch.randint(num_classes, (number,))
    near = (boxes + 4 * torch.randn(number, 4)).repeat(2, 1)
    stray = torch.cat([corner, corner + 20], dim=1) + 15 * torch.rand(number, 1)
    found_boxes = torch.cat([near, stray, torch.tensor([[0.0, 0.0, 9.0, 9.0]])])
    found_label = torch.cat([label.repeat(2), torch.randint(num_classes, (number + 1,))])
    detections = Detections(found_boxes, torch.rand(len(found_boxes)), found_label)
    return Picture(detections, boxes, label, torch.rand(number) < difficult)


def plain_precisions(pictures: list[Picture], label: int) -> list[tuple[float, float]]:
    """Recall and precision after each detection of a class, the surest first, as the development kit counts."""
    entries = [
        (float(picture.found.score[row]), index, picture.found.boxes_xyxy[row].tolist())
        for index, picture in enumerate(pictures)
        for row in range(len(picture.found.score))
        if int(picture.found.label[row]) == label
    ]
    objects = [
        [
            (box, bool(difficult))
            for box, kind, difficult in zip(p.boxes_xyxy.tolist(), p.label.tolist(), p.is_difficult, strict=True)
            if kind == label
        ]
        for p in pictures
    ]
    number = sum(not difficult for picture in objects for _, difficult in picture)
    if number == 0:
        return []
    taken: set[tuple[int, int]] = set()
    right = wrong = 0
    curve = []
    for _, index, box in sorted(entries, key=lambda entry: -entry[0]):
        overlaps = [overlap(box, other) for other, _ in objects[index]]
        best = max(range(len(overlaps)), key=lambda place: overlaps[place], default=-1)
        if best >= 0 and overlaps[best] >= 0.5:
            if objects[index][best][1]:
                continue
            if (index, best) in taken:
                wrong += 1
            else:
                taken.add((index, best))
                right += 1
        else:
            wrong += 1
        curve.append((right / number, right / (right + wrong)))
    return curve or [(0.0, 0.0)]


def plain_area(curve: list[tuple[float, float]]) -> float:
    area, reached = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        area += (recall - reached) * max(precision for _, precision in curve[place:])
        reached = recall
    return area


def plain_eleven(curve: list[tuple[float, float]]) -> float:
    levels = [level / 10 for level in range(11)]
    return sum(max((p for r, p in curve if r >= level - 1e-9), default=0.0) for level in levels) / 11


def measured(pictures: list[Picture], *, num_classes: int) -> dict[str, Tensor]:
    metric = VOCAveragePrecision(num_classes=num_classes)
    for picture in pictures:
        metric.update(*picture)
    return metric.compute()


@pytest.mark.parametrize("difficult", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(5))
def test_both_figures_equal_a_plain_evaluation(seed: int, difficult: float) -> None:
    torch.manual_seed(seed)
    pictures = [random_picture(num_classes=3, difficult=difficult) for _ in range(12)]
    curves = [curve for label in range(3) if (curve := plain_precisions(pictures, label))]
    ours = measured(pictures, num_classes=3)
    assert float(ours["map_50"]) == pytest.approx(sum(map(plain_area, curves)) / len(curves), abs=1e-6)
    assert float(ours["map_50_11_points"]) == pytest.approx(sum(map(plain_eleven, curves)) / len(curves), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_eleven_points_equal_torchmetrics_where_matching_agrees(seed: int) -> None:
    # COCO lets a detection have its second-best object, VOC does not: far apart objects make that the same.
    torch.manual_seed(seed)
    metric = MeanAveragePrecision(iou_thresholds=[0.5], rec_thresholds=[level / 10 for level in range(11)])
    pictures = []
    for _ in range(10):
        picture = random_picture(num_classes=3, difficult=0.0)
        apart = torch.arange(len(picture.label)).repeat(3)[:, None] * 200.0
        found = picture.found._replace(
            boxes_xyxy=torch.cat([picture.found.boxes_xyxy[:-1] + apart, picture.found.boxes_xyxy[-1:]])
        )
        pictures.append(picture._replace(found=found, boxes_xyxy=picture.boxes_xyxy + apart[: len(picture.label)]))
        metric.update(
            [{"boxes": found.boxes_xyxy, "scores": found.score, "labels": found.label}],
            [{"boxes": pictures[-1].boxes_xyxy, "labels": picture.label}],
        )
    ours = measured(pictures, num_classes=3)["map_50_11_points"]
    assert float(ours) == pytest.approx(float(metric.compute()["map"]), abs=1e-6)


def boxes(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_a_wrong_detection_before_the_right_one_halves_the_precision() -> None:
    found = Detections(boxes((50, 50, 60, 60), (0, 0, 10, 10)), torch.tensor([0.9, 0.8]), torch.tensor([0, 0]))
    picture = Picture(found, boxes((0, 0, 10, 10)), torch.tensor([0]), torch.tensor([False]))
    assert measured([picture], num_classes=2) == {"map_50": 0.5, "map_50_11_points": 0.5}


def test_finding_an_object_twice_is_wrong_and_a_difficult_one_never() -> None:
    twice = Detections(boxes((0, 0, 10, 10), (0, 0, 10, 9)), torch.tensor([0.9, 0.8]), torch.tensor([0, 0]))
    easy = Picture(twice, boxes((0, 0, 10, 10)), torch.tensor([0]), torch.tensor([False]))
    late = Detections(boxes((0, 0, 10, 10)), torch.tensor([0.1]), torch.tensor([0]))
    other = Picture(late, boxes((0, 0, 10, 10)), torch.tensor([0]), torch.tensor([False]))
    assert float(measured([easy, other], num_classes=1)["map_50"]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    difficult = easy._replace(is_difficult=torch.tensor([True]))
    assert float(measured([difficult, other], num_classes=1)["map_50"]) == 1.0


def test_without_objects_there_is_no_precision() -> None:
    picture = Picture(
        Detections(boxes((0, 0, 1, 1)), torch.ones(1), torch.tensor([0])),
        boxes(),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.bool),
    )
    assert measured([picture], num_classes=2) == {"map_50": -1, "map_50_11_points": -1}


def test_scores_of_perfect_detections_are_one_whatever_is_difficult() -> None:
    torch.manual_seed(0)
    batch = DetectionBatch(
        torch.zeros(2, 3, 80, 100),
        [boxes((10, 10, 50, 70)), boxes((0, 0, 20, 20), (30, 30, 99, 79))],
        [torch.tensor([0]), torch.tensor([1, 0])],
        [torch.tensor([False]), torch.tensor([False, True])],
    )
    sides = torch.tensor([100, 80, 100, 80])
    found = [
        Detections(of_image / sides, torch.ones(len(label)), label)
        for of_image, label in zip(batch.boxes_xyxy, batch.label, strict=True)
    ]
    scores = DetectionScores(num_classes=2)
    scores.update(found, batch)
    assert scores.compute() == {"map_50": 1, "map_50_11_points": 1, "map": 1}
    scores.reset()
    # The difficult object may be missed.
    scores.update([found[0], Detections(*(part[:1] for part in found[1]))], batch)
    assert scores.compute() == {"map_50": 1, "map_50_11_points": 1, "map": 1}

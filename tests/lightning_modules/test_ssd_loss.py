"""SSD's matching, loss and decoding against plain loops and torchvision's."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import ssd300_vgg16

from lightning_modules.ssd.default_boxes import make_default_boxes
from lightning_modules.ssd.detections import detect
from lightning_modules.ssd.matching import match_default_boxes
from lightning_modules.ssd.multibox_loss import MultiBoxLoss, focal_loss, hard_negatives_loss
from tests.lightning_modules import plain_ssd

DEFAULTS = make_default_boxes(
    image_size=64, feature_sizes=[5, 3, 1], scales=[0.2, 0.4, 0.7, 0.9], steps=None, aspect_ratios=[[2], [2], [2]]
)
CORNERS = torch.cat([DEFAULTS[:, :2] - DEFAULTS[:, 2:] / 2, DEFAULTS[:, :2] + DEFAULTS[:, 2:] / 2], dim=1)
PAPERS: dict[str, Any] = {
    "iou_threshold": 0.5, "classification": "hard_negatives", "negatives_per_positive": 3, "localization": "smooth_l1"
}  # fmt: skip


def random_boxes(number: int) -> Tensor:
    centre, size = 0.2 + 0.6 * torch.rand(number, 2), 0.1 + 0.5 * torch.rand(number, 2)
    return torch.cat([centre - size / 2, centre + size / 2], dim=1).clamp(0, 1)


class Case:
    """Outputs of a network with three classes, and the objects of four images, one of which has none."""

    def __init__(self, seed: int, *, counts: tuple[int, ...] = (3, 1, 0, 5)) -> None:
        torch.manual_seed(seed)
        self.offsets = torch.randn(len(counts), len(DEFAULTS), 4, requires_grad=True)
        self.logits = torch.randn(len(counts), len(DEFAULTS), 4, requires_grad=True)
        self.boxes_xyxy = [random_boxes(number) for number in counts]
        self.label = [torch.randint(3, (number,)) for number in counts]

    def loss(self, **changes: str) -> tuple[Tensor, Tensor]:
        loss = MultiBoxLoss(**{**PAPERS, **changes})
        terms: tuple[Tensor, Tensor] = loss(
            self.offsets, self.logits, DEFAULTS, CORNERS, boxes_xyxy=self.boxes_xyxy, label=self.label
        )
        return terms


@pytest.mark.parametrize("seed", range(6))
def test_matching_equals_the_plain_loops(seed: int) -> None:
    torch.manual_seed(seed)
    boxes = random_boxes(1 + seed)
    ours = match_default_boxes(boxes, CORNERS, iou_threshold=0.5)
    assert ours.tolist() == plain_ssd.matches(boxes.tolist(), DEFAULTS.tolist(), iou_threshold=0.5)


def test_every_object_has_a_default_box_even_if_two_are_the_same() -> None:
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.3]] * 3 + [[0.0, 0.0, 0.01, 0.01]])
    matched = match_default_boxes(boxes, CORNERS, iou_threshold=0.5)
    assert set(range(4)) <= set(matched.tolist())


def test_an_image_without_objects_matches_nothing() -> None:
    assert (match_default_boxes(torch.zeros(0, 4), CORNERS, iou_threshold=0.5) == -1).all()


@pytest.mark.parametrize("seed", range(4))
def test_loss_and_gradients_equal_the_plain_loops(seed: int) -> None:
    case = Case(seed)
    ours = case.loss()
    sum(ours).backward()  # type: ignore[union-attr]
    gradients = [case.offsets.grad, case.logits.grad]
    case.offsets.grad = case.logits.grad = None
    theirs = plain_ssd.multibox_loss(case.offsets, case.logits, DEFAULTS, case.boxes_xyxy, case.label)
    sum(theirs).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(ours, theirs)
    for gradient, expected in zip(gradients, (case.offsets.grad, case.logits.grad), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_equals_torchvisions(seed: int) -> None:
    case = Case(seed)
    with torch.device("meta"):
        theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=4)
    matched = [theirs.proposal_matcher(_iou(boxes)) if len(boxes) else _none() for boxes in case.boxes_xyxy]
    targets = [{"boxes": boxes, "labels": label + 1} for boxes, label in zip(case.boxes_xyxy, case.label, strict=True)]
    outputs = {"bbox_regression": case.offsets, "cls_logits": case.logits}
    expected = theirs.compute_loss(targets, outputs, [CORNERS] * 4, matched)
    localization, classification = case.loss()
    torch.testing.assert_close(localization, expected["bbox_regression"])
    torch.testing.assert_close(classification, expected["classification"])


def _iou(boxes: Tensor) -> Tensor:
    from torchvision.ops import box_iou

    return box_iou(boxes, CORNERS)


def _none() -> Tensor:
    return torch.full((len(CORNERS),), -1)


@pytest.mark.parametrize("classification", ["hard_negatives", "focal"])
@pytest.mark.parametrize("localization", ["smooth_l1", "giou"])
def test_a_batch_without_objects_has_a_finite_loss_and_gradient(classification: str, localization: str) -> None:
    case = Case(0, counts=(0, 0))
    terms = case.loss(classification=classification, localization=localization)
    sum(terms).backward()  # type: ignore[union-attr]
    assert all(bool(term.isfinite()) for term in terms)
    assert case.offsets.grad is not None
    assert case.offsets.grad.isfinite().all()


def test_three_negatives_are_taken_for_a_positive_in_each_image() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 40, 5, requires_grad=True)
    label = torch.zeros(3, 40, dtype=torch.int64)
    label[0, :2], label[1, :25] = 1, 2
    hard_negatives_loss(logits, label, negatives_per_positive=3).backward()
    assert logits.grad is not None
    taken = (logits.grad.abs().sum(dim=2) > 0).sum(dim=1)
    # In the second image there are only 15 negatives, in the third there is nothing to weigh them against.
    assert taken.tolist() == [2 + 6, 40, 0]


def test_a_focal_loss_without_focus_is_half_the_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(2, 6, 4), torch.randint(4, (2, 6))
    monkeypatch.setattr("lightning_modules.ssd.multibox_loss._FOCAL_GAMMA", 0.0)
    monkeypatch.setattr("lightning_modules.ssd.multibox_loss._FOCAL_ALPHA", 0.5)
    expected = torch.nn.functional.cross_entropy(logits.flatten(end_dim=1), label.flatten(), reduction="sum")
    torch.testing.assert_close(focal_loss(logits, label), expected / 2)


def test_the_giou_term_vanishes_where_the_boxes_are_right() -> None:
    from lightning_modules.ssd.default_boxes import encode_boxes

    case = Case(0, counts=(1,))
    case.offsets = encode_boxes(case.boxes_xyxy[0].expand(len(DEFAULTS), -1), DEFAULTS)[None]
    localization, _ = case.loss(localization="giou")
    assert float(localization) == pytest.approx(0, abs=1e-5)


def test_an_unknown_term_is_refused() -> None:
    with pytest.raises(ValueError, match=r"loss\.localization=l2 is unknown; choose one of smooth_l1, giou"):
        MultiBoxLoss(**{**PAPERS, "localization": "l2"})


@pytest.mark.parametrize("seed", range(4))
def test_detections_equal_the_plain_loops(seed: int) -> None:
    case = Case(seed)
    settings = {"score_threshold": 0.05, "nms_iou": 0.45}
    found = detect(
        case.offsets.detach(),
        case.logits.detach(),
        DEFAULTS,
        candidates_per_class=30,
        detections_per_image=50,
        **settings,
    )
    for row, detections in enumerate(found):
        offsets, logits = case.offsets[row].detach(), case.logits[row].detach()
        expected = plain_ssd.detections(offsets, logits, DEFAULTS, candidates=30, **settings)[:50]
        assert detections.label.tolist() == [label for label, _, _ in expected]
        torch.testing.assert_close(detections.score, torch.tensor([score for _, score, _ in expected]))
        boxes = torch.tensor([box for _, _, box in expected])
        torch.testing.assert_close(detections.boxes_xyxy, boxes, atol=1e-5, rtol=0)


def test_an_image_in_which_nothing_is_likely_has_no_detections() -> None:
    logits = torch.zeros(1, len(DEFAULTS), 3)
    logits[..., 0] = 20
    (found,) = detect(
        torch.zeros(1, len(DEFAULTS), 4),
        logits,
        DEFAULTS,
        score_threshold=0.01,
        nms_iou=0.45,
        candidates_per_class=400,
        detections_per_image=200,
    )
    assert found.boxes_xyxy.shape == (0, 4)

"""Losses of a segmentation against their definitions, pixel by pixel; void pixels count nowhere."""

import math

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from datamodules.batches import VOID
from lightning_modules.pspnet.losses import CrossEntropy, Dice, Focal, Lovasz, build_loss

LOSSES = {"cross_entropy": CrossEntropy(), "focal": Focal(gamma=2.0), "dice": Dice(), "lovasz": Lovasz()}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def _batch(*, num_classes: int = 5) -> tuple[Tensor, Tensor]:
    """Logits and a mask with void pixels, in which the last class does not occur."""
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(2, num_classes, 4, 3, generator=generator)
    mask = torch.randint(num_classes - 1, (2, 4, 3), generator=generator)
    mask[0, 1], mask[1, :, 2] = VOID, VOID
    return logits, mask


def _pixels(logits: Tensor, mask: Tensor) -> list[tuple[list[float], int]]:
    """Of every pixel that counts its probabilities and its class."""
    return [
        (logits[sample, :, row, column].softmax(dim=0).tolist(), int(mask[sample, row, column]))
        for sample in range(mask.shape[0])
        for row in range(mask.shape[1])
        for column in range(mask.shape[2])
        if mask[sample, row, column] != VOID
    ]


def test_cross_entropy_is_the_mean_surprise_of_counted_pixels() -> None:
    logits, mask = _batch()
    pixels = _pixels(logits, mask)
    expected = sum(-math.log(probability[label]) for probability, label in pixels) / len(pixels)
    assert float(CrossEntropy()(logits, mask)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_surprise_times_a_power_of_what_is_missing(gamma: float) -> None:
    logits, mask = _batch()
    pixels = _pixels(logits, mask)
    expected = sum((1 - p[label]) ** gamma * -math.log(p[label]) for p, label in pixels) / len(pixels)
    assert float(Focal(gamma=gamma)(logits, mask)) == pytest.approx(expected, rel=1e-4)


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, mask = _batch()
    torch.testing.assert_close(Focal(gamma=0.0)(logits, mask), CrossEntropy()(logits, mask))


def test_focal_loss_of_two_classes_is_torchvisions() -> None:
    logits, mask = _batch(num_classes=2)
    mask = torch.arange(24).reshape(2, 4, 3) % 2
    theirs = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], mask.float(), alpha=-1, gamma=2, reduction="mean")
    torch.testing.assert_close(Focal(gamma=2.0)(logits, mask), theirs)


def test_dice_loss_is_what_the_present_classes_lack_in_overlap() -> None:
    logits, mask = _batch()
    pixels = _pixels(logits, mask)
    terms = []
    for label in {label for _, label in pixels}:
        shared = sum(p[label] for p, true in pixels if true == label)
        size = sum(p[label] ** 2 for p, _ in pixels) + sum(true == label for _, true in pixels)
        terms.append(1 - 2 * shared / size)
    assert float(Dice()(logits, mask)) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_lovasz_loss_is_the_extension_of_the_jaccard_loss() -> None:
    logits, mask = _batch()
    pixels = _pixels(logits, mask)
    terms = []
    for label in {label for _, label in pixels}:
        true = {index for index, (_, pixel) in enumerate(pixels) if pixel == label}
        errors = [abs((index in true) - p[label]) for index, (p, _) in enumerate(pixels)]
        wrong: set[int] = set()
        loss_before, term = 0.0, 0.0
        for index in sorted(range(len(pixels)), key=lambda index: -errors[index]):
            wrong.add(index)
            # One minus the IoU if just these pixels were wrong.
            loss = len(wrong) / len(true | wrong)
            term += errors[index] * (loss - loss_before)
            loss_before = loss
        terms.append(term)
    assert float(Lovasz()(logits, mask)) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


@pytest.mark.parametrize("loss", [Dice(), Lovasz()], ids=["dice", "lovasz"])
def test_certain_answers_cost_one_minus_dice_or_iou(loss: nn.Module) -> None:
    _, mask = _batch()
    answer = (mask + (torch.arange(24).reshape(2, 4, 3) % 3 == 0)) % 4
    logits = 100.0 * torch.eye(5)[answer].movedim(-1, 1)
    terms = []
    for label in range(4):
        true, found = (mask == label)[mask != VOID], (answer == label)[mask != VOID]
        shared, covered = int((true & found).sum()), int((true | found).sum())
        terms.append(1 - (shared / covered if isinstance(loss, Lovasz) else 2 * shared / (covered + shared)))
    assert float(loss(logits, mask)) == pytest.approx(sum(terms) / 4, rel=1e-5)


@every_loss
def test_a_loss_of_right_and_certain_answers_is_zero(loss: nn.Module) -> None:
    _, mask = _batch()
    logits = 100.0 * torch.eye(5)[mask.where(mask != VOID, 0)].movedim(-1, 1)
    assert float(loss(logits, mask)) == pytest.approx(0, abs=1e-6)


@every_loss
def test_void_pixels_get_no_gradient_and_others_do(loss: nn.Module) -> None:
    logits, mask = _batch()
    loss(logits.requires_grad_(), mask).backward()
    assert logits.grad is not None
    amount = logits.grad.abs().sum(dim=1)
    assert (amount[mask == VOID] == 0).all()
    assert (amount[mask != VOID] > 0).all()


@every_loss
def test_what_is_predicted_for_void_pixels_does_not_matter(loss: nn.Module) -> None:
    logits, mask = _batch()
    other = logits.where((mask != VOID)[:, None], torch.randn_like(logits))
    torch.testing.assert_close(loss(other, mask), loss(logits, mask), atol=0, rtol=1e-6)


@every_loss
def test_a_batch_of_void_costs_nothing_and_changes_nothing(loss: nn.Module) -> None:
    logits, mask = _batch()
    value = loss(logits.requires_grad_(), torch.full_like(mask, VOID))
    value.backward()
    assert float(value.detach()) == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@every_loss
def test_extreme_logits_cost_finitely_and_have_finite_gradients(loss: nn.Module) -> None:
    logits, mask = _batch()
    logits = (1e4 * logits).requires_grad_()
    value = loss(logits, mask)
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_loss
def test_gradients_are_those_of_differences(loss: nn.Module) -> None:
    logits, mask = _batch()
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), logits.double().requires_grad_())


def test_a_loss_is_built_from_a_dict_and_nothing_else_is() -> None:
    place = "lightning_modules.pspnet.losses"
    built = build_loss({"_target_": f"{place}.Focal", "gamma": 3.0})
    assert isinstance(built, Focal)
    assert built.gamma == 3.0
    for target in ("os.system", f"{place}.nn.Linear", f"{place}.build_loss", None):
        with pytest.raises(ValueError, match=r"choose lightning_modules.pspnet.losses.{CrossEntropy, Focal"):
            build_loss({"_target_": target})
    with pytest.raises(ValueError, match=r"loss.gamma=-1.0 would favour"):
        Focal(gamma=-1.0)

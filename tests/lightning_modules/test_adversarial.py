"""What the GANs share: losses, penalties, augmentation, scores, the judges."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.linalg import sqrtm
from torch import Tensor

from datamodules.batches import AnomalyBatch, ImageClassificationBatch
from datamodules.digits import DigitsDataModule
from datamodules.mnist import MNISTDataModule
from experiment.targets import instantiate_flat
from lightning_modules.adversarial import augmentation
from lightning_modules.adversarial.game import LOSSES, Game, squared_slope
from lightning_modules.adversarial.judge import Judge, JudgeFile, load_judge
from lightning_modules.adversarial.pictures import spherical_interpolation
from lightning_modules.adversarial.sample_scores import (
    SampleScores,
    frechet_distance,
    precision_and_recall,
    recognition,
)
from tests.conftest import compose

DIGITS = JudgeFile("digits", "digits", image_size=32, mean=0.1307, std=0.3081)
SMALL_DIGITS = JudgeFile("small_digits", "small_digits", image_size=32, mean=0.305, std=0.376)


def test_the_non_saturating_loss_is_binary_cross_entropy() -> None:
    real, generated = torch.randn(5), torch.randn(5)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    losses = LOSSES["non_saturating"]
    expected = entropy(real, torch.ones(5)) + entropy(generated, torch.zeros(5))
    torch.testing.assert_close(losses.discriminator(real, generated), expected)
    torch.testing.assert_close(losses.generator(generated), entropy(generated, torch.ones(5)))


def test_the_hinge_asks_nothing_more_of_logits_beyond_the_margin() -> None:
    real = torch.tensor([1.5, 1.0001], requires_grad=True)
    generated = torch.tensor([-1.5, -3.0], requires_grad=True)
    LOSSES["hinge"].discriminator(real, generated).backward()
    assert real.grad is not None
    assert generated.grad is not None
    assert real.grad.tolist() == generated.grad.tolist() == [0, 0]


def _game(**changes: object) -> Game:
    rules: dict[str, object] = {
        "loss": "hinge",
        "penalty": None,
        "penalty_weight": 3.0,
        "penalty_every": 1,
        "augmentations": [],
    }
    return Game(**{**rules, **changes})  # type: ignore[arg-type]


def _linear(image: Tensor) -> Tensor:
    """A discriminator whose slope is 2 in every pixel."""
    return 2 * image.sum(dim=(1, 2, 3))


def test_penalties_of_a_linear_discriminator_have_a_closed_form() -> None:
    image = torch.randn(3, 1, 2, 2)
    # Four pixels of slope 2: a squared norm of 16.
    assert squared_slope(_linear, image).tolist() == [16, 16, 16]
    assert float(_game(penalty="r1").penalty_of(_linear, image, image, step=0)) == 3 / 2 * 16
    slope_of_one = _game(penalty="slope_of_one").penalty_of(_linear, image, -image, step=0)
    assert float(slope_of_one) == pytest.approx(3 * (4 - 1) ** 2)


def test_a_seldom_penalty_costs_the_same_on_average() -> None:
    game, image = _game(penalty="r1", penalty_every=4), torch.randn(3, 1, 2, 2)
    penalties = [float(game.penalty_of(_linear, image, image, step=step)) for step in range(8)]
    assert penalties == [4 * 24, 0, 0, 0, 4 * 24, 0, 0, 0]


def test_a_penalty_has_a_gradient_in_the_discriminators_weights() -> None:
    layer, image = torch.nn.Linear(4, 1), torch.randn(3, 1, 2, 2)
    penalty = _game(penalty="r1").penalty_of(lambda shown: layer(shown.flatten(1)).flatten(), image, image, step=0)
    penalty.backward()
    # Of 3/2 |w|^2.
    torch.testing.assert_close(layer.weight.grad, 3 * layer.weight.detach())


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no blur; choose of color, translation, cutout"):
        _game(augmentations=["blur"])


def test_translation_moves_every_image_by_whole_pixels_and_fills_with_black() -> None:
    torch.manual_seed(0)
    image = torch.rand(20, 2, 16, 16)
    moved = augmentation.translation(image)
    shifts = set()
    for before, after in zip(image, moved, strict=True):
        candidates = []
        for down in range(-2, 3):
            for right in range(-2, 3):
                expected = torch.full_like(before, -1)
                for row in range(max(0, down), min(16, 16 + down)):
                    for column in range(max(0, right), min(16, 16 + right)):
                        expected[:, row, column] = before[:, row - down, column - right]
                if torch.equal(expected, after):
                    candidates.append((down, right))
        assert len(candidates) == 1
        shifts.add(candidates[0])
    assert len(shifts) > 5


def test_cutout_greys_a_square_of_half_the_side_out() -> None:
    torch.manual_seed(0)
    kept = augmentation.cutout(torch.ones(200, 1, 16, 16)) != 0
    assert (~kept).sum(dim=(1, 2, 3)).max() <= 9 * 9
    assert (~kept).sum(dim=(1, 2, 3)).min() >= 5 * 5
    # No place is safe.
    assert (~kept).any(dim=0).all()


def test_augmentations_let_gradients_through() -> None:
    for augment in augmentation.AUGMENTATIONS.values():
        image = torch.rand(4, 3, 16, 16, requires_grad=True)
        augment(image).sum().backward()
        assert image.grad is not None
        assert image.grad.abs().sum() > 0


def test_the_frechet_distance_is_that_of_scipys_matrix_root() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(200, 5) @ torch.randn(5, 5), torch.randn(150, 5) + 1
    covariances = [np.cov(sample.double().numpy(), rowvar=False) for sample in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    means = float(((first.double().mean(dim=0) - second.double().mean(dim=0)) ** 2).sum())
    expected = means + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert float(frechet_distance(first, second)) == pytest.approx(expected, rel=1e-4)


def test_precision_and_recall_equal_a_literal_loop() -> None:
    torch.manual_seed(0)
    genuine, generated = torch.randn(30, 3), torch.randn(25, 3) * 0.5 + 0.5

    def share(sample: Tensor, by: Tensor) -> float:
        covered = 0
        for point in sample:
            near = False
            for centre in by:
                radius = sorted(float((centre - other).norm()) for other in by)[3]
                near = near or float((point - centre).norm()) <= radius
            covered += near
        return covered / len(sample)

    precision, recall = precision_and_recall(genuine, generated)
    assert float(precision) == pytest.approx(share(generated, genuine))
    assert float(recall) == pytest.approx(share(genuine, generated))


def test_a_class_counts_as_come_from_half_of_its_even_share_on() -> None:
    probability = torch.eye(4)[[1] * 75 + [3] * 25]
    scores = recognition(probability, [1, 3])
    assert float(scores["coverage"]) == 1
    assert float(scores["smallest_class_share"]) == 0.25
    assert float(recognition(torch.eye(4)[[1] * 76 + [3] * 24], [1, 3])["coverage"]) == 0.5


def test_what_looks_like_no_expected_class_is_not_recognised() -> None:
    probability = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    assert float(recognition(probability, [1, 2])["recognised"]) == pytest.approx((0.1 + 0.8) / 2)


def test_the_same_images_as_genuine_and_generated_have_no_distance() -> None:
    scores = SampleScores(judge_name="anyone", expected=None)
    features = torch.randn(50, 8)
    scores.update(features[:20], features[:20], torch.eye(2)[torch.arange(20) % 2])
    scores.update(features[20:], features[20:], torch.eye(2)[torch.arange(30) % 2])
    result = scores.compute()
    assert float(result["fid_anyone"]) == pytest.approx(0, abs=1e-3)
    assert float(result["precision_anyone"]) == float(result["recall_anyone"]) == 1


def test_an_interpolation_stays_on_the_sphere_and_divides_the_angle() -> None:
    start, end = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    way = spherical_interpolation(start, end, steps=4)[0]
    for index in range(4):
        angle = math.pi / 2 * index / 3
        assert way[index].tolist() == pytest.approx([3 * math.cos(angle), 3 * math.sin(angle)], abs=1e-5)


def test_a_missing_judge_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train one with experiment=vgg_mnist"):
        load_judge(DIGITS._replace(checkpoint=str(tmp_path / "no.ckpt")), torch.device("cpu"))
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="is no checkpoint of a VGGClassifier"):
        load_judge(DIGITS._replace(checkpoint=str(tmp_path / "other.ckpt")), torch.device("cpu"))


def _accuracy(judge: Judge, data: DigitsDataModule | MNISTDataModule) -> float:
    data.setup("test")
    right = num_images = 0
    with torch.inference_mode():
        for image, label in data.test_dataloader():
            right += int((judge(image).probability.argmax(dim=1) == label).sum())
            num_images += len(label)
    return right / num_images


def test_the_judge_of_small_digits_is_98_percent_right() -> None:
    data = DigitsDataModule(
        batch_size=90, num_workers=0, seed=1, num_classes=10, in_channels=1, image_size=32, degrees=0.0, translate=0.0,
        scale=0.0, mean=0.5, std=0.5,
    )  # fmt: skip
    assert _accuracy(load_judge(SMALL_DIGITS, torch.device("cpu")), data) > 0.98


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("image_size", [28, 32, 64])
def test_the_judge_of_digits_is_99_percent_right_at_any_size(image_size: int, real_data: Path) -> None:
    data = MNISTDataModule(
        data_dir=str(real_data), batch_size=200, num_workers=0, seed=1, num_classes=10, in_channels=1,
        image_size=image_size, degrees=0.0, translate=0.0, scale=0.0, mean=0.5, std=0.5,
    )  # fmt: skip
    assert _accuracy(load_judge(DIGITS, torch.device("cpu")), data) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["anogan64", "dcgan64", "efficient_gan28", "sagan64"])
def test_a_full_size_model_takes_a_step_of_every_player(experiment: str) -> None:
    settings: Any = OmegaConf.to_container(compose(f"experiment={experiment}_mnist"), resolve=True)
    torch.manual_seed(0)
    model = instantiate_flat(settings["model"])
    model.trainer = SimpleNamespace(estimated_stepping_batches=1, global_step=0)
    side, kind = settings["data"]["image_size"], torch.tensor([0, 1])
    image = torch.randn(2, 1, side, side).tanh()
    nowhere = torch.zeros(2, side, side, dtype=torch.long)
    batches = (ImageClassificationBatch(image, kind), AnomalyBatch(image, kind, kind > 1, nowhere, None))
    before = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    losses = model._step(batches["images" in settings["data"]], "train")
    sum(losses.values()).backward()
    for optimizer in model.configure_optimizers():
        optimizer.step()
    assert all(loss.isfinite() for loss in losses.values())
    # The gamma of attention is the only way to it, and 0.
    still = {name for name, parameter in model.network.named_parameters() if torch.equal(parameter, before[name])}
    assert all(".attention." in name and not name.endswith("gamma") for name in still)

"""AnoGAN's search, and the scores of anomalies."""

from typing import Any

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from scipy.ndimage import uniform_filter
from scipy.spatial.distance import braycurtis
from sklearn.metrics import average_precision_score, roc_auc_score

from datamodules.batches import VOID, AnomalyBatch, ImageBatch
from experiment.targets import instantiate_flat
from lightning_modules.adversarial.anomaly_scores import AnomalyScores
from lightning_modules.adversarial.verdict import Scoring, Verdict, compare
from lightning_modules.anogan.module import AnoGAN
from lightning_modules.anogan.search import Search, search
from lightning_modules.dcgan.network import Discriminator
from tests.conftest import compose

SETTINGS = Search(
    num_steps=60, lr=0.1, num_starts=1, patience=60, tolerance=0.0, measure="sum", blur=1, discrimination_weight=0.1
)


def _model() -> AnoGAN:
    torch.manual_seed(0)
    settings: Any = OmegaConf.to_container(compose("experiment=anogan_digits"), resolve=True)
    model: AnoGAN = instantiate_flat(settings["model"])
    # At its beginning a generator makes much the same of every latent vector.
    for module in model.average.module.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, std=0.2)
    return model.eval()


def _search(model: AnoGAN, image: torch.Tensor, settings: Search = SETTINGS) -> Verdict:
    discriminator = model.network.discriminator
    assert isinstance(discriminator, Discriminator)
    return search(model.average, discriminator, image, latent_dim=model.latent_dim, settings=settings)


def _generated(model: AnoGAN, count: int, *, seed: int = 0) -> torch.Tensor:
    latent = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        image: torch.Tensor = model.average(latent)
    return image


def test_the_score_is_the_sum_of_a_literal_loop() -> None:
    image, reconstruction = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    features, others = torch.randn(2, 5), torch.randn(2, 5)
    verdict = compare(image, reconstruction, features, others, Scoring("sum", 1, 0.1))
    for row in range(2):
        residual = sum(
            abs(float(a - b)) for a, b in zip(image[row].flatten(), reconstruction[row].flatten(), strict=True)
        )
        discrimination = sum(abs(float(a - b)) for a, b in zip(features[row], others[row], strict=True))
        assert float(verdict.score[row]) == pytest.approx(0.9 * residual + 0.1 * discrimination, rel=1e-5)


def test_the_share_of_differences_is_scipys_of_bray_and_curtis_and_counts_from_black() -> None:
    image, reconstruction = torch.rand(2, 1, 3, 3) * 2 - 1, torch.rand(2, 1, 3, 3) * 2 - 1
    verdict = compare(image, reconstruction, torch.ones(2, 1), torch.ones(2, 1), Scoring("share", 1, 0.0))
    for row in range(2):
        expected = braycurtis((image[row] + 1).flatten(), (reconstruction[row] + 1).flatten())
        assert float(verdict.score[row]) == pytest.approx(expected, rel=1e-5)
    black = torch.full((1, 1, 3, 3), -1.0)
    nothing = compare(black, black, torch.zeros(1, 1), torch.zeros(1, 1), Scoring("share", 1, 0.1))
    assert float(nothing.score) == 0


def test_blurred_images_are_compared_as_scipy_blurs_them() -> None:
    image, reconstruction = torch.rand(2, 1, 6, 7) * 2 - 1, torch.rand(2, 1, 6, 7) * 2 - 1
    verdict = compare(image, reconstruction, torch.ones(2, 1), torch.ones(2, 1), Scoring("sum", 5, 0.0))
    for row in range(2):
        first, second = (
            uniform_filter(x[row, 0].numpy() + 1, size=5, mode="constant") for x in (image, reconstruction)
        )
        assert float(verdict.residual[row]) == pytest.approx(abs(first - second).sum(), rel=1e-5)


@pytest.mark.parametrize("blur", [0, 2])
def test_a_mean_that_has_no_middle_is_refused(blur: int) -> None:
    settings: Any = OmegaConf.to_container(
        compose("experiment=anogan_digits", f"model.search.blur={blur}"), resolve=True
    )
    with pytest.raises(InstantiationException, match=f"blur={blur}: give the side of a square around a pixel"):
        instantiate_flat(settings["model"])


def test_an_image_that_the_generator_made_from_a_starting_point_scores_0() -> None:
    model = _model()
    verdict = _search(model, _generated(model, 1), SETTINGS._replace(num_steps=1))
    assert float(verdict.score) == pytest.approx(0, abs=1e-3)


def test_the_search_comes_nearer_the_longer_it_looks() -> None:
    model = _model()
    image = _generated(model, 4, seed=5)
    scores = [_search(model, image, SETTINGS._replace(num_steps=steps)).score for steps in (1, 20, 100)]
    assert (scores[0] > scores[1]).all()
    assert (scores[1] > scores[2]).all()


def test_the_score_grows_with_noise() -> None:
    model = _model()
    image, noise = _generated(model, 1), torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    scores = [float(_search(model, image + size * noise).score) for size in (0.0, 0.2, 0.5, 1.0)]
    assert scores == sorted(scores)


def test_a_score_does_not_depend_on_the_other_images_of_the_batch() -> None:
    model = _model()
    image = _generated(model, 4, seed=5)
    together = _search(model, image, SETTINGS._replace(num_steps=20)).score
    alone = torch.cat([_search(model, image[row : row + 1], SETTINGS._replace(num_steps=20)).score for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


def test_more_starting_points_are_never_worse() -> None:
    model = _model()
    image = _generated(model, 6, seed=5)
    one, three = (_search(model, image, SETTINGS._replace(num_steps=30, num_starts=n)).score for n in (1, 3))
    assert (three <= one + 1e-3).all()
    assert (three < one - 1e-3).any()


def test_a_search_without_progress_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    model, steps = _model(), []
    original = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self, *args: (steps.append(1), original(self, *args))[1])
    # No step makes the score half of what it is, again and again.
    _search(model, _generated(model, 3, seed=5), SETTINGS._replace(patience=5, tolerance=0.9))
    assert len(steps) < 20


def test_a_search_works_in_inference_mode_and_leaves_no_gradient_on_weights() -> None:
    model = _model()
    with torch.inference_mode():
        predictions = model.predict_step(ImageBatch(torch.rand(2, 1, 16, 16)), 0)
    assert len(predictions) == 2
    assert np.array(predictions[0]["heat"]).shape == (16, 16)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def _scored(score: list[float], kind: list[int], *, normal: int = 7) -> tuple[Verdict, AnomalyBatch]:
    value, count = torch.tensor(score), len(score)
    is_anomalous = torch.tensor(kind) != normal
    defect = torch.where(is_anomalous, VOID, 0)[:, None, None].expand(-1, 2, 2).clone()
    heat = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(0))
    for row in range(count):
        if kind[row] == 10:
            defect[row] = torch.tensor([[0, 1], [1, 1]])
    images = torch.zeros(count, 1, 2, 2)
    batch = AnomalyBatch(images, torch.tensor(kind), is_anomalous, defect, value.flip(0))
    return Verdict(images, value * 2, value.flip(0), value, heat), batch


def test_auroc_and_average_precision_are_scikit_learns_also_of_large_scores() -> None:
    score = [100.0, 350.0, 220.0, 90.0, 400.0, 360.0, 120.0, 500.0]
    kind = [7, 7, 2, 7, 2, 3, 3, 10]
    verdict, batch = _scored(score, kind)
    metric = AnomalyScores(num_classes=10)
    metric.update(Verdict(*(part[:5] for part in verdict)), AnomalyBatch(*(part[:5] for part in batch)))
    metric.update(Verdict(*(part[5:] for part in verdict)), AnomalyBatch(*(part[5:] for part in batch)))
    results = {name: float(value) for name, value in metric.compute().items()}
    # Stained images are told apart by a score of their own.
    target = [0, 0, 1, 0, 1, 1, 1]
    assert results["auroc"] == pytest.approx(roc_auc_score(target, score[:7]))
    assert results["average_precision"] == pytest.approx(average_precision_score(target, score[:7]))
    assert results["auroc_2"] == pytest.approx(roc_auc_score([0, 0, 1, 0, 1], score[:5]))
    assert results["auroc_stained"] == pytest.approx(roc_auc_score([0, 0, 0, 1], [100, 350, 90, 500]))
    assert results["auroc_nearest_neighbour"] == pytest.approx(roc_auc_score(target, score[::-1][:7]))
    is_labelled = [row for row in range(8) if kind[row] in (7, 10)]
    pixels, truth = verdict.heat[is_labelled].flatten(), batch.defect[is_labelled].flatten()
    assert results["pixel_auroc"] == pytest.approx(roc_auc_score(truth, pixels))
    assert results["pixel_average_precision"] == pytest.approx(average_precision_score(truth, pixels), abs=1e-6)


@pytest.mark.parametrize("kind", [7, 2])
def test_a_split_without_anomalies_or_without_normal_images_has_no_auroc(kind: int) -> None:
    metric = AnomalyScores(num_classes=10)
    metric.update(*_scored([1.0, 2.0], [kind, kind]))
    assert metric.compute() == {}

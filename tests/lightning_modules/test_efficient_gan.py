"""Efficient GAN: its networks at the published size, whose turn changes what, scores without a search."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch.nn.utils import parametrize

from datamodules.batches import AnomalyBatch
from experiment.targets import instantiate_flat
from lightning_modules.efficient_gan.module import EfficientGAN
from lightning_modules.efficient_gan.network import Encoder, Generator, PairDiscriminator
from tests.conftest import compose


def _model(*overrides: str) -> EfficientGAN:
    torch.manual_seed(0)
    settings: Any = OmegaConf.to_container(compose("experiment=efficient_gan_digits", *overrides), resolve=True)
    model: EfficientGAN = instantiate_flat(settings["model"])
    return model


def _batch(count: int = 4) -> AnomalyBatch:
    return AnomalyBatch(
        torch.rand(count, 1, 16, 16) * 2 - 1,
        torch.full((count,), 7),
        torch.zeros(count, dtype=torch.bool),
        torch.zeros(count, 16, 16, dtype=torch.long),
        None,
    )


def test_the_networks_of_28_pixels_have_the_published_sizes() -> None:
    size: dict[str, Any] = {"latent_dim": 20, "in_channels": 1, "image_size": 28, "width": 64}
    networks = (
        Generator(**size, hidden=1024),
        PairDiscriminator(**size, hidden=1024, normalisation="batch", dropout=0.5),
        Encoder(**size),
    )
    # The book's, which are the authors' at its latent size.
    assert [sum(p.numel() for p in network.parameters()) for network in networks] == [6_597_185, 3_815_169, 218_516]


def test_an_image_that_cannot_be_halved_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size=30 cannot be halved twice"):
        Encoder(latent_dim=2, in_channels=1, image_size=30, width=8)


def test_each_turn_has_gradients_for_its_own_networks_only() -> None:
    model = _model()
    for turn in model.turns():
        own = {id(parameter) for network in turn.networks for parameter in network.parameters()}
        model.zero_grad()
        turn.loss(_batch()).backward()
        assert all(p.grad is not None for p in model.network.parameters() if id(p) in own)
    held = {id(parameter) for turn in model.turns() for network in turn.networks for parameter in network.parameters()}
    assert held == {id(parameter) for parameter in model.network.parameters()}


def test_the_encoder_wants_its_pairs_taken_for_the_generators() -> None:
    model = _model("model.latent_cycle_weight=0.0")
    batch = _batch(16)
    encoder, discriminator = model.network.encoder, model.network.discriminator

    def logit() -> float:
        with torch.no_grad():
            return float(discriminator(batch.image, encoder(batch.image)).mean())

    before = logit()
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        model.turns()[1].loss(batch).backward()
        optimizer.step()
    assert logit() < before


def test_an_encoder_that_inverts_the_generator_has_no_cycle_loss() -> None:
    model, plain = _model("model.latent_cycle_weight=5.0"), _model("model.latent_cycle_weight=0.0")
    plain.load_state_dict(model.state_dict())
    batch, latent = _batch(), torch.randn(4, model.latent_dim)
    for each in (model, plain):
        each.latent = lambda count, dim: latent  # type: ignore[method-assign]
        each.network.encoder = _Constant(latent)  # type: ignore[assignment]
    losses = [float(each.turns()[1].loss(batch).detach()) for each in (model, plain)]
    assert losses[0] == pytest.approx(losses[1])


class _Constant(torch.nn.Module):
    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _image: torch.Tensor) -> torch.Tensor:
        return self.value


def test_a_score_does_not_depend_on_the_other_images_of_the_batch() -> None:
    model, image = _model("model.normalisation=batch").eval(), _batch(5).image
    with torch.no_grad():
        together = model.judge(image).score
        alone = torch.cat([model.judge(image[row : row + 1]).score for row in range(5)])
    torch.testing.assert_close(together, alone)


def test_spectral_normalisation_is_on_every_layer_of_the_discriminator() -> None:
    discriminator = _model().network.discriminator
    layers = [m for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 5
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)

"""SAGAN: attention against literal loops, normalisation against singular values."""

import math
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn.utils import parametrize

from experiment.targets import instantiate_flat
from lightning_modules.sagan.attention import SelfAttention
from lightning_modules.sagan.module import SAGAN
from lightning_modules.sagan.network import Discriminator, Generator
from tests.conftest import compose


def _model(*overrides: str) -> SAGAN:
    torch.manual_seed(0)
    settings: Any = OmegaConf.to_container(compose("experiment=sagan_digits", *overrides), resolve=True)
    model: SAGAN = instantiate_flat(settings["model"])
    return model


def _normalised(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]


def test_attention_adds_nothing_at_first() -> None:
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(SelfAttention(16)(features), features)


def test_attention_equals_a_literal_loop_over_places() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16).eval()
    nn.init.constant_(attention.gamma, 0.7)
    features = torch.randn(1, 16, 3, 3)
    with torch.no_grad():
        found, weights = attention(features)[0], attention.weights(features)[0]
        layers = (attention.query, attention.key, attention.value, attention.output)
        f, g, h, v = (layer.weight.detach()[:, :, 0, 0] for layer in layers)
        places = [features[0, :, row, column] for row in range(3) for column in range(3)]
        for j, place in enumerate(places):
            similar = [math.exp(float((f @ place) @ (g @ other))) for other in places]
            total = sum(similar)
            for i, value in enumerate(similar):
                assert float(weights[j, i]) == pytest.approx(value / total, abs=1e-5)
            output = sum((s / total) * (h @ other) for s, other in zip(similar, places, strict=True))
            expected = place + 0.7 * (v @ output)
            torch.testing.assert_close(found[:, j // 3, j % 3], expected, atol=1e-5, rtol=1e-4)


def test_every_layer_of_both_networks_is_normalised_but_embeddings_of_the_generator() -> None:
    for network in (_model().network.generator, _model().network.discriminator):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        assert _normalised(network) == layers


def test_spectral_normalisation_brings_the_largest_singular_value_to_1() -> None:
    discriminator = _model().network.discriminator.train()
    for _ in range(50):
        discriminator(torch.randn(2, 1, 16, 16))
    for layer in _normalised(discriminator.eval()):
        assert float(torch.linalg.svdvals(layer.weight.detach().flatten(start_dim=1))[0]) == pytest.approx(1, abs=0.05)


def test_averaged_weights_are_as_normalised_as_those_they_follow() -> None:
    model = _model()
    generator = model.network.generator.train()
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        generator(torch.randn(8, model.latent_dim)).square().mean().backward()
        optimizer.step()
        model.average.update_parameters(generator)
    for layer in _normalised(model.average.module.eval()):
        # A transposed convolution's matrix has its outputs in the second axis.
        weight = layer.weight.detach()
        matrix = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
        assert float(torch.linalg.svdvals(matrix.flatten(start_dim=1))[0]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("image_size", [16, 28, 64])
def test_attention_sits_at_any_map_and_nowhere_else(image_size: int) -> None:
    size: dict[str, Any] = {"num_classes": None, "in_channels": 1, "image_size": image_size, "width": 8}
    for side in [image_size // 2, image_size // 4]:
        generator = Generator(latent_dim=4, attention_side=side, **size)
        assert generator(torch.randn(2, 4)).shape == (2, 1, image_size, image_size)
        assert generator.attention_weights(torch.randn(2, 4)).shape == (2, side**2, side**2)
        assert Discriminator(attention_side=side, **size)(torch.randn(2, 1, image_size, image_size)).shape == (2,)
    with pytest.raises(ValueError, match="attention_side=5 is no map's; choose one of"):
        Generator(latent_dim=4, attention_side=5, **size)


def test_classes_reach_both_networks_when_the_model_is_conditional() -> None:
    model = _model("model.conditional=true").eval()
    image, latent = torch.randn(4, 1, 16, 16), torch.randn(4, model.latent_dim)
    one, other = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    assert not torch.equal(model(image, one), model(image, other))
    assert not torch.equal(model.network.generator(latent, one), model.network.generator(latent, other))


def test_the_discriminators_rate_is_four_times_the_generators() -> None:
    model = _model()
    model.trainer = type("Trainer", (), {"estimated_stepping_batches": 1})()
    discriminator, generator = model.configure_optimizers()  # type: ignore[misc]
    assert discriminator.param_groups[0]["lr"] == 4 * generator.param_groups[0]["lr"]


def test_pictures_are_a_grid_of_samples_and_a_row_of_attention_for_each_of_six() -> None:
    with torch.no_grad():
        grid, attention = _model().eval().draw_samples(count=2)
    assert grid.size == (2 * 66 + 2, 2 * 66 + 2)
    assert attention.size == (5 * 112, 6 * 112)

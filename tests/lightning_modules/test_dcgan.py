"""DCGAN: its networks, and what training two networks against each other must keep apart and must not lose."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from datamodules.batches import ImageClassificationBatch
from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.targets import instantiate_flat
from lightning_modules.adversarial.averaging import averaged_copy
from lightning_modules.dcgan.module import DCGAN
from lightning_modules.dcgan.network import Discriminator, Generator
from tests.conftest import MakeRequest, compose
from tests.interruptions import build_with

SHORT = (
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=8",
)


def _model(*overrides: str) -> DCGAN:
    torch.manual_seed(0)
    settings: Any = OmegaConf.to_container(compose("experiment=dcgan_digits", *overrides), resolve=True)
    model: DCGAN = instantiate_flat(settings["model"])
    return model


def _batch(count: int = 4) -> ImageClassificationBatch:
    return ImageClassificationBatch(torch.rand(count, 1, 16, 16) * 2 - 1, torch.arange(count) % 10)


@pytest.mark.parametrize("image_size", [16, 28, 32, 64, 128])
def test_generated_images_have_the_asked_side_and_values_between_minus_1_and_1(image_size: int) -> None:
    generator = Generator(latent_dim=8, num_classes=None, in_channels=3, image_size=image_size, width=4)
    image = generator(torch.randn(2, 8) * 10)
    assert image.shape == (2, 3, image_size, image_size)
    assert image.abs().max() <= 1
    discriminator = Discriminator(num_classes=None, in_channels=3, image_size=image_size, width=4, batch_norm=True)
    assert discriminator(image).shape == (2,)


@pytest.mark.parametrize("image_size", [4, 30, 36])
def test_a_side_that_cannot_be_halved_to_a_small_map_is_refused(image_size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size={image_size} leaves a map of"):
        Generator(latent_dim=8, num_classes=None, in_channels=1, image_size=image_size, width=4)


def test_the_books_network_differs_by_the_biases_before_normalisation_only() -> None:
    # 2,920,257 and 2,762,689 of the book, whose discriminator has no batch normalisation and biases everywhere.
    size: dict[str, Any] = {"num_classes": None, "in_channels": 1, "image_size": 64, "width": 64}
    generator, discriminator = Generator(latent_dim=20, **size), Discriminator(batch_norm=False, **size)
    ours = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    biases = 512 + 256 + 128 + 64
    assert ours[0] + biases + 1 == 2_920_257
    # The first convolution has one here too.
    assert ours[1] + biases - 64 + 1 == 2_762_689


def test_losses_begin_where_an_undecided_discriminator_has_them() -> None:
    model = _model("model.batch_norm=false")
    assert model.discriminator_loss(_batch(64)).item() == pytest.approx(2 * math.log(2), abs=0.05)
    assert model.generator_loss(_batch(64)).item() == pytest.approx(math.log(2), abs=0.05)


class _Watched(pl.Callback):
    """What each optimiser's step changed."""

    def __init__(self) -> None:
        self.before: dict[str, torch.Tensor] = {}
        self.changed: list[set[str]] = []
        self.norms: list[float] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        self._look(pl_module)
        self.norms.append(
            float(torch.cat([p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]).norm())
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._look(pl_module)

    def _look(self, module: Any) -> None:
        now = {name: p.detach().clone() for name, p in module.network.named_parameters()}
        if self.before:
            self.changed.append({n.split(".")[0] for n in now if not torch.equal(now[n], self.before[n])})
        self.before = now


def _run(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> tuple[Any, _Watched]:
    watched = _Watched()
    request = make_request(*SHORT, *overrides, experiment="dcgan_digits")
    with monkeypatch.context() as patched:
        patched.setattr(training, "_build", build_with(watched))
        training.run_training(request)
    return request.run, watched


def test_a_players_step_leaves_the_other_as_it_is(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    run, watched = _run(make_request, monkeypatch)
    assert watched.changed == [{"discriminator"}, {"generator"}] * 4
    # A batch is a step, however many players there are.
    assert load_checkpoint(run.checkpoints / "last.ckpt")["global_step"] == 4


def test_accumulated_batches_are_one_step_of_their_mean_gradient(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, watched = _run(make_request, monkeypatch, "trainer.accumulate_grad_batches=3")
    # Three batches, then the one that is left at the end of the epoch.
    assert watched.changed == [{"discriminator"}, {"generator"}] * 2
    assert load_checkpoint(run.checkpoints / "last.ckpt")["global_step"] == 2


def test_the_mean_loss_of_two_batches_has_the_gradient_of_both_together() -> None:
    model = _model("model.batch_norm=false").eval()
    whole = _batch(8)
    halves = [ImageClassificationBatch(*(part[rows] for part in whole)) for rows in (slice(0, 4), slice(4, 8))]
    latent = torch.randn(8, model.latent_dim)
    parameters = list(model.network.discriminator.parameters())

    def gradients(batches: list[ImageClassificationBatch]) -> list[torch.Tensor]:
        left = latent
        total = torch.zeros(())
        for batch in batches:
            used, left = left[: len(batch.image)], left[len(batch.image) :]
            model._latent = lambda count, used=used: used  # type: ignore[method-assign,assignment,misc]
            total = total + model.discriminator_loss(batch) / len(batches)
        return list(torch.autograd.grad(total, parameters))

    for ours, expected in zip(gradients(halves), gradients([whole]), strict=True):
        torch.testing.assert_close(ours, expected)


def test_clipping_bounds_each_players_step(make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    _, free = _run(make_request, monkeypatch)
    # Adam does not see the scale of gradients, so what is looked at is what the optimiser was handed.
    clipped: list[float] = []

    def note(optimizer: Any, _args: Any, _kwargs: Any) -> None:
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        clipped.append(float(torch.cat(gradients).norm()))

    handle = register_optimizer_step_post_hook(note)
    try:
        _run(make_request, monkeypatch, "trainer.gradient_clip_val=0.01")
    finally:
        handle.remove()
    assert min(free.norms) > 0.01
    assert len(clipped) == 2 * 4
    assert max(clipped) == pytest.approx(0.01, rel=1e-3)


def test_mixed_precision_trains_the_same_parameters_in_full_precision(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, watched = _run(make_request, monkeypatch, "trainer.precision=bf16-mixed")
    assert watched.changed == [{"discriminator"}, {"generator"}] * 4
    state = load_checkpoint(run.checkpoints / "last.ckpt")["state_dict"]
    assert {value.dtype for name, value in state.items() if name.startswith("network.")} <= {torch.float32, torch.int64}


def test_averaged_weights_follow_the_closed_form_of_an_exponential_mean() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    averaged = averaged_copy(network, decay=0.5)
    expected = None
    for step, value in enumerate([3.0, 1.0, -2.0, 5.0, 4.0]):
        torch.nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
        share = min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else share * expected + (1 - share) * value
    assert averaged.module.weight.item() == pytest.approx(expected)
    assert not any(parameter.requires_grad for parameter in averaged.parameters())


def test_classes_reach_both_networks_when_the_model_is_conditional() -> None:
    model = _model("model.conditional=true").eval()
    image, latent = _batch().image, torch.randn(4, model.latent_dim)
    one, other = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    assert not torch.equal(model(image, one), model(image, other))
    assert not torch.equal(model.network.generator(latent, one), model.network.generator(latent, other))


def test_projection_adds_the_product_of_features_and_class() -> None:
    discriminator = Discriminator(num_classes=3, in_channels=1, image_size=16, width=4, batch_norm=False)
    image, label = torch.randn(2, 1, 16, 16), torch.tensor([2, 0])
    features = discriminator.features(image)
    assert discriminator.label is not None
    for row in range(2):
        vector = discriminator.label.weight[label[row]].detach()
        expected = sum(float(features[row, c].sum().detach() * vector[c]) for c in range(len(vector)))
        plain = float(F.conv2d(features[row : row + 1], discriminator.logit.weight).flatten().detach())
        assert float(discriminator(image, label)[row].detach()) == pytest.approx(plain + expected, abs=1e-5)


def test_samples_are_the_same_for_the_same_seed_and_pictures_hold_all_of_them() -> None:
    model = _model().eval()
    with torch.no_grad():
        torch.testing.assert_close(model.samples(count=6, seed=3), model.samples(count=6, seed=3))
        assert not torch.equal(model.samples(count=6, seed=3), model.samples(count=6, seed=4))
        (picture,) = model.draw_samples(count=3)
        # Three rows of three images of 16 pixels, enlarged four times, with a margin of 2.
        assert picture.size == (3 * 66 + 2, 3 * 66 + 2)
        assert model.draw_interpolations(count=2, seed=0).size == (10 * 66 + 2, 2 * 66 + 2)


def test_processes_that_share_out_weights_are_refused() -> None:
    model = _model()
    model.trainer = SimpleNamespace(world_size=2, strategy=object())  # type: ignore[assignment]
    with pytest.raises(ValueError, match="set trainer=ddp"):
        model.setup("fit")
